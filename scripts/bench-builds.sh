#!/usr/bin/env bash
# Measures what ways of building for production are worth: the same local benches, built plainly, for
# this processor, with a profile of themselves (PGO), and run on other allocators. Each is told as its time over
# that of the plain build, the geometric mean of a group's benchmarks; below 1 is faster.
#
#   scripts/bench-builds.sh [--results DIR] [--bench FILTER]
#
#   --results DIR       where builds.md goes (benchmark-results)
#   --bench FILTER      only benchmarks whose id contains this
#
# Four builds of the local benches, then three rounds of a minute for each row, whose best counts. Needs Rust's llvm-tools for PGO and Debian's
# libmimalloc2.0 and libjemalloc2 for allocators; rows whose tool cannot be had are left out, and said.
set -euo pipefail
here="$(pwd)"
cd "$(dirname "$0")/.."

fail() { echo "bench-builds.sh: $*" >&2; exit 1; }
ROUNDS=3
results="benchmark-results"
filter=""
while [ $# -gt 0 ]; do
    case "$1" in
    --results) results="${2:?--results needs a folder}"; case "$results" in /*) ;; *) results="$here/$results" ;; esac; shift 2 ;;
    --bench) filter="${2:?--bench needs a filter}"; shift 2 ;;
    -h | --help) sed -n '2,/^set/{s/^# \{0,1\}//;/^set/d;p}' scripts/bench-builds.sh; exit 0 ;;
    *) echo "bench-builds.sh: unknown option $1; see --help" >&2; exit 64 ;;
    esac
done
command -v cargo >/dev/null || fail "cargo is missing; install Rust 1.95 or later with rustup"
command -v python3 >/dev/null || fail "python3 is missing; install it with: apt-get install python3"
mkdir -p "$results"
results="$(cd "$results" && pwd)"
target="${CARGO_TARGET_DIR:-$PWD/target}"
work="$target/builds"
mkdir -p "$work"
# Every row's measurements lie in one folder, each as a baseline of its own.
export CRITERION_HOME="$work/criterion"

# build FOLDER FLAGS: the path of the benches' executable.
build() {
    CARGO_TARGET_DIR="$1" RUSTFLAGS="$2" cargo bench --locked --quiet -p fleet-benches --no-default-features --bench fleet_benchmarks --no-run --message-format json |
        python3 -c 'import json, sys
for line in sys.stdin:
    message = json.loads(line)
    if message.get("executable") and message["target"]["name"] == "fleet_benchmarks":
        print(message["executable"])'
}
names=() programs=() preloads=()
row() { # NAME PROGRAM LIBRARY-TO-PRELOAD
    names+=("$1") programs+=("$2") preloads+=("$3")
}
# Each row in turn, and again: what else the machine does meets all of them alike.
measure() {
    local round i
    for round in $(seq "$ROUNDS"); do
        for i in "${!names[@]}"; do
            echo "== ${names[i]}, round $round of $ROUNDS"
            LD_PRELOAD="${preloads[i]}" "${programs[i]}" --bench --quick --save-baseline "${names[i]}-$round" ${filter:+"$filter"} \
                >"$work/${names[i]}.txt" 2>&1 || fail "${names[i]} cannot be measured; see $work/${names[i]}.txt"
        done
    done
}
library() { # PACKAGE FILE: its path, installed where that needs no password
    [ -n "$(ldconfig -p | grep -F "$2")" ] || [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null ||
        { apt-get update -qq && apt-get install -y -qq "$1" >/dev/null; } || true
    ldconfig -p | awk -v file="$2" '$1 == file { print $NF; exit }'
}
allocator() { # NAME PACKAGE FILE
    local path
    path="$(library "$2" "$3")"
    if [ -n "$path" ]; then row "$1" "$plain" "$path"; else echo "$1 is left out; install it with: apt-get install $2"; fi
}
# A build that counts what it does, and another that is laid out for what was done most.
profile_guided() {
    local merge counting
    merge="$(find "$(rustc --print sysroot)/lib/rustlib" -name llvm-profdata -type f | head -1)"
    [ -n "$merge" ] || { rustup component add llvm-tools && merge="$(find "$(rustc --print sysroot)/lib/rustlib" -name llvm-profdata -type f | head -1)"; } || true
    [ -n "$merge" ] || { echo "pgo is left out; install llvm-profdata with: rustup component add llvm-tools"; return; }
    # Cargo does not see that a profile of the same name is another.
    rm -rf "$work/profiles" "$work/pgo"
    counting="$(build "$work/pgo-counting" "-Cprofile-generate=$work/profiles")"
    "$counting" --bench --profile-time 1 ${filter:+"$filter"} >/dev/null 2>&1
    "$merge" merge -o "$work/merged.profdata" "$work/profiles"
    row pgo "$(build "$work/pgo" "-Cprofile-use=$work/merged.profdata")" ""
}

rm -rf "$CRITERION_HOME"
plain="$(build "$target" "")"
row plain "$plain" ""
row native "$(build "$work/native" "-Ctarget-cpu=native")" ""
profile_guided
allocator mimalloc libmimalloc2.0 libmimalloc.so.2
allocator jemalloc libjemalloc2 libjemalloc.so.2
row again "$plain" "" # what two runs of one build differ by
measure

python3 - "$CRITERION_HOME" "$results/builds.md" <<'PYTHON'
import json, math, sys
from collections import defaultdict
from pathlib import Path

home, out = Path(sys.argv[1]), Path(sys.argv[2])
rows = ["native", "pgo", "mimalloc", "jemalloc", "again"]
def best(folder, row):
    """The least time of a row's rounds: what else the machine did only ever adds to it."""
    rounds = [json.loads(path.read_text()) for path in folder.glob(f"{row}-*/estimates.json")]
    return min((one["median"]["point_estimate"] for one in rounds), default=None)

ratios = defaultdict(lambda: defaultdict(list))
for plain in sorted(home.rglob("plain-1/estimates.json")):
    folder = plain.parent.parent
    group = folder.relative_to(home).parts[0]
    if "reference" in folder.relative_to(home).parts:
        continue
    before = best(folder, "plain")
    for row in rows:
        after = best(folder, row)
        if after is not None:
            ratios[group][row].append(after / before)
shown = [row for row in rows if any(row in of for of in ratios.values())]
mean = lambda values: math.exp(sum(map(math.log, values)) / len(values)) if values else None
text = lambda value: "" if value is None else f"{value:.2f}"
lines = ["| group | " + " | ".join(shown) + " |", "|---|" + "---|" * len(shown)]
for group in sorted(ratios):
    lines.append(f"| {group} | " + " | ".join(text(mean(ratios[group][row])) for row in shown) + " |")
total = {row: mean([ratio for of in ratios.values() for ratio in of[row]]) for row in shown}
lines.append("| all | " + " | ".join(text(total[row]) for row in shown) + " |")
out.write_text("\n".join(lines) + "\n")
print(out.read_text(), end="")
print(f"wrote {out}")
PYTHON
