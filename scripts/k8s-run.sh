#!/usr/bin/env bash
# Runs the images and the overlays `single` and `redis` with `podman play kube`: pushes reports, kills
# everything, finds everything again, and drains a dashboard under a WebSocket and a bot that pushes.
# Without podman it says so and ends well. Needs root, for it reaches pods by their addresses.
#   FLEET_BUILD_FLAGS  further flags of `podman build`, such as a volume with crates
#   FLEET_REPORTS      reports to push; else those of ../shared/sarif, or some made here
set -euo pipefail
cd "$(dirname "$0")/.."

TAG=0.1.0
# What a process may hold when it is ready and has read what it keeps, in MiB; what an image may add, in MB.
RESIDENT=25
IMAGE=40
NETWORK=fleet-run
REDIS=docker.io/library/redis:7.2.11-bookworm
OUT="$(mktemp -d)"
KUBECTL="${KUBECTL:-$(command -v kubectl || echo target/tools/kubectl)}"
PYTHON="${PYTHON:-target/tools/python/bin/python}"

fail() { echo "k8s-run.sh: $*" >&2; exit 1; }
step() { printf '\n== %s\n' "$*"; }

command -v podman >/dev/null || { echo "k8s-run.sh: podman is not here, so nothing is run"; exit 0; }
[ "$(id -u)" = 0 ] || fail "run it as root: pods are reached by their addresses"
for tool in curl jq openssl; do command -v "$tool" >/dev/null || fail "$tool is missing; install it"; done
[ -x "$PYTHON" ] && [ -x "$KUBECTL" ] || fail "run scripts/k8s-check.sh first: it brings kubectl and PyYAML"

PODS=()
VOLUMES=()
clean() {
    [ "${#PODS[@]}" = 0 ] || podman pod rm -f -t 0 "${PODS[@]}" >/dev/null 2>&1 || true
    [ "${#VOLUMES[@]}" = 0 ] || podman volume rm -f "${VOLUMES[@]}" >/dev/null 2>&1 || true
    podman network rm -f "$NETWORK" >/dev/null 2>&1 || true
    rm -rf "$OUT"
}
trap clean EXIT
podman network exists "$NETWORK" && fail "there is a network $NETWORK: another run, or what one left; podman network rm -f $NETWORK"
podman network create "$NETWORK" >/dev/null
# The network's own name server alone. Podman lists this machine's beside it; musl, which `fleet` is linked
# with, asks both at once and believes whichever answers first, though the other knows no pods.
NAMES="$(podman network inspect "$NETWORK" | jq -r '.[0].subnets[0].gateway')"

# build IMAGE ARGUMENT...: unless it is there. In docker's format, for the other leaves out health checks.
build() {
    local image="$1"
    shift
    # shellcheck disable=SC2086 # several flags
    podman image exists "$image" || podman build --format docker ${FLEET_BUILD_FLAGS:-} -t "$image" "$@" >/dev/null
}

step "images"
for target in dashboard coordinator fleet; do
    image="localhost/fleet-$target:$TAG"
    [ $target = fleet ] && image="localhost/fleet:$TAG"
    build "$image" --target $target .
    base="$(podman image inspect -f '{{.Size}}' docker.io/library/debian:bookworm-slim)"
    size="$(podman image inspect -f '{{.Size}}' "$image")"
    over=$(((size - base) / 1000000))
    echo "$image: user $(podman image inspect -f '{{.User}}' "$image"), $over MB over its base"
    [ "$over" -le $IMAGE ] || fail "$image is $over MB over its base, $IMAGE are allowed"
done
if ! podman image exists "$REDIS" && ! podman pull -q "$REDIS" >/dev/null 2>&1; then
    REDIS=localhost/redis:debian
    echo "the image of Redis cannot be had: $REDIS is made of Debian's redis-server"
    printf '%s\n' 'FROM debian:bookworm-slim' \
        'RUN apt-get update && apt-get install -y --no-install-recommends redis-server && rm -rf /var/lib/apt/lists/* && rm -rf /etc/redis && install -d -o 999 -g 999 /data' \
        'VOLUME ["/data"]' > "$OUT/Dockerfile.redis"
    build "$REDIS" -f "$OUT/Dockerfile.redis" "$OUT"
fi

# The name server loses a question now and then while containers come and go: ask again twice a second.
LOOKUP=(--network "$NETWORK" --dns "$NAMES" --dns-opt timeout:5 --dns-opt attempts:10)
fleet() { podman run --rm "${LOOKUP[@]}" --read-only --cap-drop all -v "$REPORTS:/reports:ro" \
    -e FLEET_STORE=http://fleet-dashboard:8080 -e FLEET_TOKEN="$TOKEN" "localhost/fleet:$TAG" "$@"; }

# A container's address, process and, since its start, how long it took until ready.
address() { podman inspect -f '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}' "$(podman pod inspect -f '{{.InfraContainerID}}' "$1")"; }
process() { podman inspect -f '{{.State.Pid}}' "$1"; }

# play POD ALIAS: starts a pod made by playable.py.
STORED= # where Redis is, once it runs
play() {
    PODS+=("$1")
    sed "s/REDIS-ADDRESS/$STORED/" "$OUT/pods/$1.yaml" > "$OUT/playing.yaml"
    podman play kube --network "$NETWORK:alias=$2" "$OUT/playing.yaml" >"$OUT/played" 2>&1 || { cat "$OUT/played" >&2; fail "$1 does not start"; }
}
complain() { # what every container said last
    local name
    for name in $(podman ps -a --format '{{.Names}}' | grep '^fleet-'); do
        echo "-- $name" >&2
        podman logs --tail 5 "$name" >&2 || true
    done
}
# ready POD CONTAINER: waits until it is, and says since when.
ready() {
    local at began resident tries=0
    at="$(address "$1")"
    until curl -fsS -o /dev/null --max-time 2 "http://$at:9090/readyz" 2>/dev/null; do
        tries=$((tries + 1))
        [ $tries -lt 1500 ] || { complain; fail "$1 is not ready"; }
        sleep 0.01
    done
    began="$(date -d "$(podman inspect -f '{{.State.StartedAt.Format "2006-01-02T15:04:05.000Z07:00"}}' "$1-$2")" +%s%3N)"
    began=$(($(date +%s%3N) - began))
    resident=$(($(awk '/VmRSS/ {print $2}' "/proc/$(process "$1-$2")/status") / 1024))
    echo "$1: ready $began ms after its start at the latest, $resident MiB resident"
    [ $resident -le $RESIDENT ] || fail "$1 holds $resident MiB, $RESIDENT are allowed"
}
locked() { # POD CONTAINER: what it runs as
    local status="/proc/$(process "$1-$2")/status"
    [ "$(awk '/^Uid/ {print $2}' "$status")" = 10001 ] || fail "$1 does not run as 10001"
    [ "$(awk '/^CapEff/ {print $2}' "$status")" = 0000000000000000 ] || fail "$1 has capabilities"
    [ "$(podman inspect -f '{{.HostConfig.ReadonlyRootfs}}' "$1-$2")" = true ] || fail "$1 can write its root"
    echo "$1: user 10001, no capabilities, read-only root"
}
# What the fleet has: each session with its findings.
known() { fleet sessions --json | jq -c '[.sessions[] | {id, total}] | sort_by(.id)'; }
same() { # BEFORE AFTER
    [ "$1" = "$2" ] || fail "what was there before: $1; after: $2"
    echo "all there again: $(jq -r 'length' <<<"$2") sessions, $(jq -r 'map(.total) | add' <<<"$2") findings"
}
killed() { # POD...: dead at once, and gone but for their volumes
    podman pod kill -s KILL "$@" >/dev/null
    podman pod rm -f -t 0 "$@" >/dev/null
    echo "killed: $*"
}

step "reports and tokens"
REPORTS="${FLEET_REPORTS:-../shared/sarif}"
if [ ! -d "$REPORTS" ]; then
    REPORTS="$OUT/reports" && mkdir "$REPORTS"
    for file in a.rs b.rs c.rs; do
        for line in 3 14 15; do
            printf '{"rule_id":"marker","level":"note","message":"a marker was left","locations":[{"uri":"%s","region":{"startLine":%s}}]}\n' $file $line
        done > "$REPORTS/$file.jsonl"
    done
fi
REPORTS="$(realpath "$REPORTS")"
TOKEN=
fleet token new --role admin run --json > "$OUT/token"
TOKEN="$(jq -r .token "$OUT/token")"
echo "reports of $REPORTS; one token"

secret() { # NAME KEY=VALUE...
    local name="$1" pair
    shift
    printf -- '---\napiVersion: v1\nkind: Secret\nmetadata: {name: %s}\nstringData:\n' "$name"
    for pair in "$@"; do printf '  %s: %s\n' "${pair%%=*}" "$(printf %s "${pair#*=}" | jq -Rs .)"; done
}

overlay() { # NAME: its pods as files
    step "overlay $1"
    rm -rf "$OUT/pods" && mkdir "$OUT/pods"
    "$KUBECTL" kustomize "k8s/overlays/$1" > "$OUT/built.yaml"
    "$PYTHON" scripts/k8s/playable.py "$OUT/built.yaml" "$OUT/secrets.yaml" "$REDIS" "$OUT/pods"
    while read -r volume; do VOLUMES+=("$volume"); done < <("$PYTHON" -c '
import sys, yaml
names = set()
for path in sys.argv[1:]:
    for thing in yaml.safe_load_all(open(path)):
        for volume in thing.get("spec", {}).get("volumes", []):
            names.add(volume["configMap"]["name"] if "configMap" in volume else volume["persistentVolumeClaim"]["claimName"])
print("\n".join(sorted(names)))' "$OUT"/pods/*.yaml)
}

push() {
    local report pushed=0 refused=0
    for report in "$REPORTS"/*; do
        case "$report" in *.sarif | *.jsonl) ;; *) continue ;; esac
        if fleet push --repository "run/$(basename "$report" | tr . -)" "/reports/$(basename "$report")" >"$OUT/pushed" 2>&1; then
            pushed=$((pushed + 1))
        else
            refused=$((refused + 1))
            echo "refused: $(basename "$report"): $(tail -1 "$OUT/pushed" | cut -c 1-110)"
        fi
    done
    echo "pushed: $pushed reports; refused: $refused"
    [ $pushed -gt 0 ] || { cat "$OUT/pushed" >&2; fail "no report was taken"; }
}

# The embedded fleet loses nothing when its pod is killed.
single_killed() {
    secret fleet-tokens "tokens=$(jq -r .line "$OUT/token")" > "$OUT/secrets.yaml"
    overlay single
    play fleet-dashboard-0 fleet-dashboard
    ready fleet-dashboard-0 dashboard
    locked fleet-dashboard-0 dashboard
    push
    BEFORE="$(known)"
    killed fleet-dashboard-0
    play fleet-dashboard-0 fleet-dashboard
    ready fleet-dashboard-0 dashboard
    same "$BEFORE" "$(known)"
}

# A pod that is told to end closes its WebSockets with 1001.
single_stopped() {
    local SOCKET
    echo "a WebSocket is open while the pod is told to end:"
    : > "$OUT/closed"
    "$PYTHON" scripts/k8s/socket_close.py "$(address fleet-dashboard-0)" 8080 "$TOKEN" > "$OUT/closed" &
    SOCKET=$!
    until grep -q open "$OUT/closed"; do kill -0 $SOCKET || fail "no WebSocket"; sleep 0.05; done
    podman pod stop -t 40 fleet-dashboard-0 >/dev/null
    wait $SOCKET
    cat "$OUT/closed"
    grep -q 'closed 1001' "$OUT/closed" || fail "the WebSocket was not closed with 1001"
    podman pod rm -f fleet-dashboard-0 >/dev/null
    play fleet-dashboard-0 fleet-dashboard
    ready fleet-dashboard-0 dashboard
    same "$BEFORE" "$(known)"
}

line() { # ROLE PASSWORD
    fleet acl "$1" --user "$1" --hash "$(printf %s "$2" | sha256sum | cut -d ' ' -f 1)"
}

# Secrets of the overlay `redis`, as docs/operations.md has them made.
redis_secrets() {
    local COORDINATOR DASHBOARD ACL
    COORDINATOR="$(openssl rand -hex 32)"
    DASHBOARD="$(openssl rand -hex 32)"
    ACL="$(printf '%s\n' 'user default reset off ~* &* +@all' 'user probe reset on nopass +ping' \
        "$(line coordinator "$COORDINATOR")" "$(line dashboard "$DASHBOARD")")"
    {
        secret fleet-tokens "tokens=$(jq -r .line "$OUT/token")"
        secret fleet-redis "users.acl=$ACL"
        secret fleet-store-coordinator "password=$COORDINATOR" "url=redis://coordinator@fleet-redis:6379?password_file=/etc/fleet/store/password"
        secret fleet-store-dashboard "password=$DASHBOARD" "url=redis://dashboard@fleet-redis:6379?password_file=/etc/fleet/store/password"
    } > "$OUT/secrets.yaml"
}

EVERY=(fleet-redis-0 fleet-coordinator-0 fleet-coordinator-1 fleet-dashboard-0 fleet-dashboard-1)
all() {
    local number
    play fleet-redis-0 fleet-redis
    STORED="$(address fleet-redis-0)"
    for number in 0 1; do
        play fleet-coordinator-$number fleet-coordinator
        ready fleet-coordinator-$number coordinator
        play fleet-dashboard-$number fleet-dashboard
        ready fleet-dashboard-$number dashboard
    done
}

# All of a fleet around Redis is killed, and finds everything again.
redis_killed() {
    all
    locked fleet-coordinator-0 coordinator
    push
    BEFORE="$(known)" || { complain; fail "the fleet does not tell its sessions"; }
    # The append-only file is written each second.
    sleep 2
    killed "${EVERY[@]}"
    all
    same "$BEFORE" "$(known)"
}

# Dashboards are rolled while reports are pushed, and no push is lost.
redis_rolled() {
    local number ROLLING ROLLED
    echo "dashboards are replaced one by one while reports are pushed:"
    (
        set +e
        failed=0
        for round in $(seq 1 12); do
            printf '{"rule_id":"marker","level":"note","message":"a marker was left","locations":[{"uri":"%s.rs","region":{"startLine":1}}]}\n' "$round" > "$OUT/round.jsonl"
            podman run -i --rm "${LOOKUP[@]}" -e FLEET_STORE=http://fleet-dashboard:8080 -e FLEET_TOKEN="$TOKEN" "localhost/fleet:$TAG" \
                push --repository run/rolling --run "$round" - < "$OUT/round.jsonl" >"$OUT/round.out" 2>&1 || { failed=$((failed + 1)); cat "$OUT/round.out"; }
        done
        echo "$failed of 12 pushes failed" > "$OUT/rolled"
    ) &
    ROLLING=$!
    for number in 0 1; do
        podman pod stop -t 40 fleet-dashboard-$number >/dev/null
        podman pod rm -f fleet-dashboard-$number >/dev/null
        play fleet-dashboard-$number fleet-dashboard
        ready fleet-dashboard-$number dashboard
    done
    wait $ROLLING
    cat "$OUT/rolled"
    grep -q '^0 of' "$OUT/rolled" || fail "a push was lost while dashboards were replaced"
    ROLLED="$(fleet sessions --json run/rolling | jq '[.sessions[].total] | add')"
    [ "$ROLLED" = 12 ] || fail "of 12 findings pushed meanwhile, $ROLLED are there"
    echo "12 findings pushed meanwhile, 12 there"
}

single_killed
single_stopped
podman pod rm -f -t 30 fleet-dashboard-0 >/dev/null
podman volume rm -f "${VOLUMES[@]}" >/dev/null
VOLUMES=()

redis_secrets
overlay redis
redis_killed
redis_rolled
