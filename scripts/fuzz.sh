#!/usr/bin/env bash
# Fuzzes the decoders: stored findings, compacted logs, files of records, reports, configuration,
# addresses, query strings, HTTP bodies, WebSocket frames.
#
#   scripts/fuzz.sh [TARGET...] [--seconds N | --runs N]
#
# Each target runs for 60 seconds unless told otherwise, starting from fuzz/corpus/TARGET; what it
# learns goes to fuzz/found/TARGET, an input that fails to fuzz/artifacts/TARGET. The compiler has to
# instrument the code, which nightly Rust does; where that cannot be installed, the stable compiler is
# told to do it all the same. Exit code 1 when any input fails.
set -euo pipefail
cd "$(dirname "$0")/../fuzz"

limit=(-max_total_time=60)
targets=()
while [ $# -gt 0 ]; do
    case "$1" in
    --seconds) limit=(-max_total_time="${2:?--seconds needs a number}"); shift 2 ;;
    --runs) limit=(-runs="${2:?--runs needs a number}"); shift 2 ;;
    -h | --help) sed -n '2,/^set/{s/^# \{0,1\}//;/^set/d;p}' "../scripts/$(basename "$0")"; exit 0 ;;
    -*) echo "fuzz.sh: unknown option $1; see --help" >&2; exit 64 ;;
    *) targets+=("$1"); shift ;;
    esac
done
[ ${#targets[@]} -gt 0 ] || for seeds in corpus/*/; do targets+=("$(basename "$seeds")"); done
for target in "${targets[@]}"; do
    [ -d "corpus/$target" ] || { echo "fuzz.sh: there is no target $target; there are: $(ls corpus | tr '\n' ' ')" >&2; exit 64; }
done

toolchain=+nightly
if ! rustc +nightly --version >/dev/null 2>&1 && ! rustup toolchain install nightly --profile minimal; then
    echo "fuzz.sh: nightly Rust cannot be installed; instrumenting with $(rustc --version) and RUSTC_BOOTSTRAP=1"
    toolchain=
    export RUSTC_BOOTSTRAP=1
fi
command -v cargo-fuzz >/dev/null || cargo install --locked cargo-fuzz

failed=0
for target in "${targets[@]}"; do
    mkdir -p "found/$target"
    echo "== $target"
    # shellcheck disable=SC2086 # nothing where it is empty
    cargo $toolchain fuzz run --fuzz-dir . --sanitizer none --release "$target" "found/$target" "corpus/$target" \
        -- "${limit[@]}" -max_len=65536 -timeout=20 -rss_limit_mb=2048 -print_final_stats=1 || failed=1
done
exit $failed
