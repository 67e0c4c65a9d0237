#!/usr/bin/env bash
# Measures the fleet.
#
#   scripts/bench-fleet.sh run         the local benches: context, index, health
#   scripts/bench-fleet.sh redis       the benches that need Redis
#   scripts/bench-fleet.sh load        bots that push over Redis, at a rate and as a flood
#   scripts/bench-fleet.sh scale       the same at growing sizes: findings, workers, people who look
#   scripts/bench-fleet.sh report      report.md and report.html of all that was measured
#   scripts/bench-fleet.sh compare A B two git revisions, each built in a worktree of its own
#   scripts/bench-fleet.sh flamegraph  an SVG of where the time goes, by perf
#   scripts/bench-fleet.sh memory      heap over time, by valgrind's massif
#   scripts/bench-fleet.sh heaptrack   every allocation, by heaptrack
#   scripts/bench-fleet.sh perf        processor counters, or times where there are none
#   scripts/bench-fleet.sh watch       the local benches again whenever a file changes
#   scripts/bench-fleet.sh all         everything above but compare and watch; the report at the end
#
#   --quick             fewer samples
#   --baseline NAME     keep what is measured under this name
#   --compare NAME      compare with what was kept under this name
#   --results DIR       where results go (benchmark-results)
#   --server            flamegraph of coordinator and dashboard while bots push, not of a benchmark
#   --bench FILTER      only benchmarks whose id contains this; for profiles health/full_health_check/1000
#
# A tool that is missing is installed where that needs no password, and otherwise named with the
# command that installs it.
set -euo pipefail
here="$(pwd)"
cd "$(dirname "$0")/.."

usage() { sed -n '2,/^set/{s/^# \{0,1\}//;/^set/d;p}' "scripts/$(basename "$0")"; }
fail() { echo "bench-fleet.sh: $*" >&2; exit 1; }
wrong() { echo "bench-fleet.sh: $*; see --help" >&2; exit 64; }

need() { # need COMMAND HOW-TO-INSTALL, which is tried where it can work
    command -v "$1" >/dev/null && return
    local how="$2"
    case "$how" in
    apt-get\ *)
        if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
            echo "bench-fleet.sh: installing $1"
            apt-get update -qq && DEBIAN_FRONTEND=noninteractive $how -y -qq >/dev/null || true
        fi ;;
    cargo\ *) echo "bench-fleet.sh: installing $1"; $how || true ;;
    esac
    command -v "$1" >/dev/null || fail "$1 is missing; install it with: $how"
}

what=""
revisions=()
criterion=()
filter=""
baseline=""
compared="base"
results="benchmark-results"
server=""
while [ $# -gt 0 ]; do
    case "$1" in
    --quick) criterion+=(--quick); shift ;;
    --baseline) baseline="${2:?--baseline needs a name}"; shift 2 ;;
    --compare) compared="${2:?--compare needs a name}"; shift 2 ;;
    --results) results="${2:?--results needs a folder}"; case "$results" in /*) ;; *) results="$here/$results" ;; esac; shift 2 ;;
    --server) server=1; shift ;;
    --bench) filter="${2:?--bench needs a filter}"; shift 2 ;;
    -h | --help) usage; exit 0 ;;
    -*) wrong "unknown option $1" ;;
    *) if [ -z "$what" ]; then what="$1"; else revisions+=("$1"); fi; shift ;;
    esac
done
[ -n "$what" ] || wrong "say what to do"
[ "$what" = compare ] || [ ${#revisions[@]} = 0 ] || wrong "$what takes nothing besides options"
[ -z "$baseline" ] || criterion+=(--save-baseline "$baseline")
[ "$compared" = base ] || [ -n "$baseline" ] || criterion+=(--baseline "$compared")
mkdir -p "$results"
results="$(cd "$results" && pwd)"
target="${CARGO_TARGET_DIR:-$PWD/target}"
command -v cargo >/dev/null || fail "cargo is missing; install Rust 1.95 or later with rustup"

# Everything started in the background is ended with the script.
children=()
cleanup() {
    for child in "${children[@]:-}"; do
        [ -z "$child" ] || { kill "$child" 2>/dev/null && wait "$child" 2>/dev/null; } || true
    done
}
trap cleanup EXIT

# What the local benches need is built without the fleet's programs, which take most of a build.
LOCAL=(--locked -p fleet-benches --no-default-features)

local_benches() {
    cargo bench "${LOCAL[@]}" --bench fleet_benchmarks --bench session_index --bench health \
        -- ${filter:+"$filter"} "${criterion[@]}" 2>&1 | tee "$results/run.txt"
}
redis_benches() {
    cargo bench --locked -p fleet-benches --bench redis_benchmarks \
        -- ${filter:+"$filter"} "${criterion[@]}" 2>&1 | tee "$results/redis.txt"
}

report() { # CRITERIONS-FOLDER BASELINE
    cargo run "${LOCAL[@]}" --features tools --quiet --profile bench --bin bench-report -- \
        --criterion "$1" --results "$results" --baseline "$2"
}

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

# A fleet on a Redis of its own: redis-server, a coordinator, a dashboard; sets `store`, `dashboard` and
# `pids`.
start_fleet() {
    need redis-server "apt-get install redis-server"
    need python3 "apt-get install python3"
    cargo build --locked --quiet --profile bench -p fleet-coordinator -p fleet-dashboard -p fleet-benches --bins
    programs="$target/release"
    local port
    port="$(free_port)"
    redis-server --port "$port" --bind 127.0.0.1 --save "" --dir "$results" >"$results/redis-server.log" &
    local redis=$!
    children+=("$redis")
    store="redis://127.0.0.1:$port"
    for _ in $(seq 100); do redis-cli -p "$port" ping >/dev/null 2>&1 && break; sleep 0.05; done
    redis-cli -p "$port" ping >/dev/null || fail "redis-server does not answer; see $results/redis-server.log"
    "$programs/fleet-coordinator" --store "$store" >"$results/coordinator.log" 2>&1 &
    coordinator=$!
    children+=("$coordinator")
    port="$(free_port)"
    dashboard="http://127.0.0.1:$port"
    "$programs/fleet-dashboard" --store "$store" --listen "127.0.0.1:$port" \
        --max-clients-per-address 10000 >"$results/dashboard.log" 2>&1 &
    local shown=$!
    children+=("$shown")
    for _ in $(seq 200); do curl -fso /dev/null "$dashboard/readyz" 2>/dev/null && break; sleep 0.05; done
    curl -fsSo /dev/null "$dashboard/readyz" || fail "the dashboard is not ready; see $results/dashboard.log"
    pids=(--process "redis-server=$redis" --process "coordinator=$coordinator" --process "dashboard=$shown")
}

end_fleet() {
    cleanup
    children=()
}

is_quick() { case " ${criterion[*]:-} " in *" --quick "*) return 0 ;; *) return 1 ;; esac; }

# push NAME OPTIONS...: a load, kept under its name.
push() {
    local name="$1"
    shift
    echo "== $name"
    "$programs/fleet-load" push --store "$store" "${pids[@]}" --json "$results/load/$name.json" "$@"
}

load() {
    start_fleet
    mkdir -p "$results/load"
    local flood=1000000 alone=10000
    if is_quick; then flood=100000 alone=2000; fi
    push flood --findings "$flood"
    end_fleet
    start_fleet
    push rate --findings "$alone" --rate 1000 --analysed --dashboard "$dashboard"
    end_fleet
}

# Each size has a fleet of its own, so that none pays for what the one before left.
scale() {
    mkdir -p "$results/load"
    rm -f "$results"/load/scale-*.json
    local findings=(10000 100000 1000000) workers=(50 500 5000) people=(10 100 1000) few=200000
    if is_quick; then findings=(1000 10000 100000) workers=(10 50 250) people=(1 10 100) few=20000; fi
    local size
    for size in "${findings[@]}"; do
        start_fleet
        push "scale-findings-$size" --findings "$size" --workers 4 --sessions 1
        end_fleet
    done
    for size in "${workers[@]}"; do
        start_fleet
        push "scale-workers-$size" --findings "$few" --workers "$size" --sessions "$size"
        end_fleet
    done
    for size in "${people[@]}"; do
        start_fleet
        push "scale-people-$size" --findings 2000 --rate 200 --analysed --dashboard "$dashboard" --ws-clients "$size"
        end_fleet
    done
}

# The executable of the local benches, with symbols, and the benchmark to profile.
profiled() {
    need python3 "apt-get install python3"
    filter="${filter:-health/full_health_check/1000}"
    program="$(cargo bench "${LOCAL[@]}" --bench fleet_benchmarks --no-run --message-format json 2>/dev/null |
        python3 -c 'import json, sys
for line in sys.stdin:
    message = json.loads(line)
    if message.get("executable") and message["target"]["name"] == "fleet_benchmarks":
        print(message["executable"])')"
    [ -x "$program" ] || fail "the benches do not build; see: cargo bench ${LOCAL[*]} --no-run"
}

flamegraph() {
    need perf "apt-get install linux-perf"
    if ! command -v inferno-flamegraph >/dev/null; then need inferno-flamegraph "cargo install --locked inferno"; fi
    if [ -n "$server" ]; then
        flamegraph_of_server
        return
    fi
    profiled
    perf record --quiet --freq 997 --call-graph dwarf,16384 --output "$results/perf.data" -- \
        "$program" --bench --profile-time 5 "$filter" >/dev/null 2>&1 ||
        fail "perf may not record here; as root: sysctl kernel.perf_event_paranoid=1"
    draw_flamegraph flamegraph "$filter"
}

# Both processes as they run, while bots push a thousand findings a second.
flamegraph_of_server() {
    start_fleet
    mkdir -p "$results/load"
    local watched
    watched="$(printf '%s\n' "${pids[@]}" | sed -n 's/^\(coordinator\|dashboard\)=//p' | paste -sd,)"
    perf record --quiet --freq 499 --call-graph dwarf,16384 --output "$results/perf.data" --pid "$watched" >/dev/null 2>&1 &
    local recorder=$!
    children+=("$recorder")
    push flamegraph --findings 5000 --rate 1000 --analysed --dashboard "$dashboard"
    kill -INT "$recorder" 2>/dev/null || fail "perf may not record here; as root: sysctl kernel.perf_event_paranoid=1"
    wait "$recorder" || true
    end_fleet
    rm -f "$results/load/flamegraph.json"
    draw_flamegraph flamegraph-server "coordinator and dashboard at 1,000 findings a second"
}

# draw_flamegraph NAME TITLE: of what perf recorded last, which is then removed.
draw_flamegraph() {
    perf script --no-inline --input "$results/perf.data" 2>/dev/null | inferno-collapse-perf 2>/dev/null |
        inferno-flamegraph --title "$2" >"$results/$1.svg"
    rm -f "$results"/perf.data*
    echo "wrote $results/$1.svg"
}

memory() {
    need valgrind "apt-get install valgrind"
    profiled
    valgrind --quiet --tool=massif --massif-out-file="$results/massif.out" \
        "$program" --bench --profile-time 1 "$filter" >/dev/null
    ms_print "$results/massif.out" >"$results/massif.txt"
    grep -m1 -A25 '^--' "$results/massif.txt" | head -40
    echo "wrote $results/massif.txt"
}

heaptrack_it() {
    need heaptrack "apt-get install heaptrack"
    profiled
    rm -f "$results"/heaptrack.*
    heaptrack --output "$results/heaptrack" "$program" --bench --profile-time 1 "$filter" >/dev/null 2>&1
    # Packed by zstd, or by gzip where heaptrack was built without it.
    heaptrack_print "$(ls "$results"/heaptrack.{zst,gz} 2>/dev/null | head -1)" >"$results/heaptrack.txt" 2>/dev/null ||
        fail "heaptrack_print cannot read $results/heaptrack.*"
    tail -n 8 "$results/heaptrack.txt"
    echo "wrote $results/heaptrack.txt"
}

perf_it() {
    need perf "apt-get install linux-perf"
    profiled
    local events=cycles,instructions,cache-references,cache-misses,branches,branch-misses
    if ! perf stat -e cycles true >/dev/null 2>&1 || perf stat -e cycles true 2>&1 | grep -q 'not supported'; then
        echo "this machine has no processor counters: times and faults only"
        events=task-clock,page-faults,context-switches
    fi
    perf stat -e "$events" --output "$results/perf.txt" -- "$program" --bench --profile-time 3 "$filter" >/dev/null
    cat "$results/perf.txt"
}

# Each revision is measured with its own benches, one after the other, in one worktree that stays under the
# build's folder: what two revisions share, or one with those of the comparison before, is built once.
compare() {
    [ ${#revisions[@]} = 2 ] || wrong "compare takes two revisions"
    local place="$target/compare" quick=() flags=(--save-baseline before) commits=() revision commit
    for revision in "${revisions[@]}"; do
        commits+=("$(git rev-parse --quiet --verify "$revision^{commit}")") || fail "$revision is no revision"
    done
    if is_quick; then quick=(--quick); fi
    rm -rf "$place/criterion"
    # It may be another checkout's that builds into the same folder, or what is left of one.
    if ! is_own_worktree "$place/tree"; then
        rm -rf "$place/tree"
        git worktree prune
        git worktree add --quiet --detach "$place/tree" "${commits[0]}"
    fi
    for commit in "${commits[@]}"; do
        echo "== $(git log -1 --format='%h %s' "$commit")"
        git -C "$place/tree" checkout --quiet --force --detach "$commit"
        (cd "$place/tree" && CARGO_TARGET_DIR="$target" CRITERION_HOME="$place/criterion" cargo bench \
            "${LOCAL[@]}" --bench fleet_benchmarks -- ${filter:+"$filter"} --noplot "${flags[@]}" "${quick[@]}") | tee "$results/compare-${commit:0:7}.txt"
        flags=(--baseline before)
    done
    report "$place/criterion" before
}

is_own_worktree() {
    local of=(rev-parse --path-format=absolute --git-common-dir)
    [ -e "$1/.git" ] && [ "$(git -C "$1" "${of[@]}" 2>/dev/null)" = "$(git "${of[@]}")" ]
}

case "$what" in
run) local_benches ;;
redis) redis_benches ;;
load) load ;;
scale) scale ;;
report) report "$target/criterion" "$compared" ;;
compare) compare ;;
flamegraph) flamegraph ;;
memory) memory ;;
heaptrack) heaptrack_it ;;
perf) perf_it ;;
watch) need cargo-watch "cargo install --locked cargo-watch"; exec cargo watch -w coordinator -w worker-sdk -w benches -x "bench ${LOCAL[*]} --bench fleet_benchmarks -- --quick ${filter:-}" ;;
all) local_benches; redis_benches; load; scale; flamegraph; flamegraph_of_server; memory; heaptrack_it; perf_it; report "$target/criterion" "$compared" ;;
*) wrong "unknown command $what" ;;
esac
