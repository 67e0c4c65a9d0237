#!/usr/bin/env bash
# Breaks a fleet on purpose, on Redis servers of its own, and checks that nothing was lost, counted
# twice or invented; exit code 1 if anything was. Reports, logs and journals: chaos-results/.
#
#   scripts/chaos.sh --minutes 30                              coordinators, bots, Redis, links
#   scripts/chaos.sh --topology sentinel --failovers 20        masters behind Sentinels die
#   scripts/chaos.sh --topology cluster --failovers 20         masters of a cluster die
#   scripts/chaos.sh --migrations 20                           slots of a cluster move
#   scripts/chaos.sh --takeovers 5                             coordinators die with work in hand
#   scripts/chaos.sh --truncations 50                          append-only files lose their end
#   scripts/chaos.sh --backlog 1000000                         changes wait until a coordinator comes
#
# Also: --seed S (the same faults again), --rate R (findings a second), --bots N, --coordinators N;
# --dev first builds without optimisation.
set -euo pipefail
cd "$(dirname "$0")/.."

command -v redis-server >/dev/null || { echo "chaos.sh: redis-server is missing: apt-get install redis-server" >&2; exit 1; }
profile=release
if [ "${1:-}" = --dev ]; then
    profile=dev
    shift
fi
folder=${CARGO_TARGET_DIR:-target}/$([ "$profile" = dev ] && echo debug || echo "$profile")
cargo build --locked --quiet --profile "$profile" \
    --package fleet-coordinator --bin fleet-coordinator --package fleet-benches --bin fleet-chaos
exec "$folder/fleet-chaos" "$@"
