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

case "$1" in
markers) files | xargs -d '\n' grep -HnE '\b(TODO|FIXME|XXX)\b' -- /dev/null | finding marker note "a marker was left" ;;
lines) files -name '*.rs' | xargs -d '\n' grep -HnE '^.{110,}' -- /dev/null | finding long-line note "the line is longer than 110 characters" ;;
shell) files -name '*.sh' | xargs -d '\n' grep -HnE '(^|[^\\])`' -- /dev/null | finding backticks warning "the command is quoted with backticks" ;;
# Ends soon after the command that runs it was killed, so that none piles up.
wait) sleep "$((${EVERY:-60} + 5))" ;;
work)
    # The run tells one round from the next: each is a session of its own, compared with the last.
    while :; do
        FLEET_RUN="$(date +%s)"
        export FLEET_RUN
        for bot in markers lines shell; do
            fleet run --bot "$bot" --tier engine --jsonl - -- sh "$0" "$bot" > /dev/null || true
        done
        sleep 60
    done
    ;;
victim)
    while :; do
        fleet run --bot victim -- sh "$0" wait &
        pid=$!
        sleep "${EVERY:-60}"
        kill -KILL "$pid"
        wait "$pid" || true
        sleep 15
    done
    ;;
*) echo "bots.sh: work or victim" >&2; exit 64 ;;
esac
