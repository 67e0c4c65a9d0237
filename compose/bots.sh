#!/bin/sh
# Small bots for the demonstration, as anybody would write one: a tool that prints findings as JSON
# lines, run by `fleet run`.
# usage: bots.sh work | victim
set -eu

# finding RULE LEVEL MESSAGE: FILE:LINE: of standard input become findings
finding() {
    sed -n -E "s|^\./([^:\"\\]+):([0-9]+):.*|{\"rule_id\":\"$1\",\"level\":\"$2\",\"message\":\"$3\",\"locations\":[{\"uri\":\"\1\",\"region\":{\"startLine\":\2}}]}|p"
}

# Text files of the checkout, without what is made or fetched.
files() {
    find . \( -name target -o -name .git -o -name node_modules \) -prune -o -type f -size -256k "$@" -print
}

# Told to stop, it has everything of this container stop, which says goodbye to the fleet, and ends with it.
# A shell hears only while it waits, so whatever takes time is waited for.
stop() {
    trap '' TERM
    kill -TERM 0
    wait
    exit 0
}
waiting() {
    "$@" &
    wait $!
}

case "$1" in
markers) files | xargs -d '\n' grep -HnE '\b(TODO|FIXME|XXX)\b' -- /dev/null | finding marker note "a marker was left" ;;
lines) files -name '*.rs' | xargs -d '\n' grep -HnE '^.{110,}' -- /dev/null | finding long-line note "the line is longer than 110 characters" ;;
shell) files -name '*.sh' | xargs -d '\n' grep -HnE '(^|[^\\])`' -- /dev/null | finding backticks warning "the command is quoted with backticks" ;;
# Ends soon after the command that runs it was killed, so that none piles up.
wait) sleep "$((${EVERY:-60} + 5))" ;;
work)
    trap stop TERM
    # The run tells one round from the next: each is a session of its own, compared with the last.
    while :; do
        FLEET_RUN="$(date +%s)"
        export FLEET_RUN
        for bot in markers lines shell; do
            waiting fleet run --bot "$bot" --tier engine --jsonl - -- sh "$0" "$bot" > /dev/null || true
        done
        waiting sleep 60
    done
    ;;
victim)
    trap stop TERM
    while :; do
        fleet run --bot victim -- sh "$0" wait &
        pid=$!
        waiting sleep "${EVERY:-60}"
        kill -KILL "$pid"
        wait "$pid" || true
        waiting sleep 15
    done
    ;;
*) echo "bots.sh: work or victim" >&2; exit 64 ;;
esac
