#!/usr/bin/env bash
# Counts the instructions of hot functions under valgrind, and fails where one takes over 5 % more than
# benches/instructions.txt says.
#
#   scripts/bench-count.sh             compares with what is committed
#   scripts/bench-count.sh --update    writes what is counted now: after a change that was meant
#
# Counts are those of one compiler and C library; another may need --update first.
set -euo pipefail
cd "$(dirname "$0")/.."

COMMITTED=benches/instructions.txt
# Counts of one build repeat within half a per cent; a change worth a look is ten times that.
PERCENT=5

update=""
case "${1:-}" in
"") ;;
--update) update=1 ;;
-h | --help) sed -n '2,/^set/{s/^# \{0,1\}//;/^set/d;p}' "scripts/$(basename "$0")"; exit 0 ;;
*) echo "bench-count.sh: unknown option $1; see --help" >&2; exit 64 ;;
esac

if ! command -v valgrind >/dev/null; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        echo "bench-count.sh: installing valgrind"
        apt-get update -qq && apt-get install -y -qq valgrind >/dev/null
    else
        echo "bench-count.sh: valgrind is missing; install it with: apt-get install valgrind" >&2
        exit 1
    fi
fi

cargo build --locked --quiet --profile bench -p fleet-benches --no-default-features --features tools --bin fleet-count
program="${CARGO_TARGET_DIR:-target}/release/fleet-count"
out="$(mktemp -d)"
trap 'rm -rf "$out"' EXIT

for name in $("$program"); do
    valgrind --tool=callgrind --collect-atstart=no --toggle-collect='*fleet_count*counted*' \
        --callgrind-out-file="$out/callgrind.out" "$program" "$name" 2>"$out/log" ||
        { cat "$out/log" >&2; exit 1; }
    count="$(sed -n 's/.*Collected : //p' "$out/log")"
    [ "${count:-0}" -gt 0 ] || { echo "bench-count.sh: nothing was counted of $name" >&2; exit 1; }
    echo "$name $count"
done | tee "$out/counted"

if [ -n "$update" ]; then
    cp "$out/counted" "$COMMITTED"
    echo "wrote $COMMITTED"
    exit 0
fi
awk -v percent="$PERCENT" '
    NR == FNR { before[$1] = $2; next }
    !($1 in before) { print $1 " is not in the committed counts; run with --update"; bad = 1; next }
    {
        change = ($2 / before[$1] - 1) * 100
        printf "%-20s %+.2f %%\n", $1, change
        if (change > percent) { print "  more than " percent " %"; bad = 1 }
    }
    END { exit bad }' "$COMMITTED" "$out/counted"
