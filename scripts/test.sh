#!/usr/bin/env bash
# All checks and tests: format, lints, unit and integration tests against real redis-server
# processes on ports of their own, the pages in a real Chromium, doctests. Installs what is missing.
set -euo pipefail
cd "$(dirname "$0")/.."

need() { # need COMMAND DEBIAN-PACKAGE
    command -v "$1" >/dev/null && return
    echo "test.sh: installing $2"
    if [ "$(id -u)" = 0 ]; then as_root=(); else as_root=(sudo); fi
    "${as_root[@]}" apt-get update -qq
    "${as_root[@]}" apt-get install -y -qq "$2" >/dev/null
}

need redis-server redis-server
need cc build-essential
need chromium chromium
need node nodejs
need npm npm
need prometheus-alertmanager prometheus-alertmanager
command -v cargo >/dev/null || { echo "test.sh: cargo is missing; install Rust 1.95 or later with rustup" >&2; exit 1; }
rustup component add rustfmt clippy 2>/dev/null || true
command -v cargo-nextest >/dev/null || cargo install --locked cargo-nextest

echo "== format"
cargo fmt --all --check
echo "== lints"
cargo clippy --workspace --all-targets --locked -- -D warnings
echo "== the main command"
# A bare "cargo run" must know which binary is meant; --help shows that it does.
cargo run --locked --quiet -- --help >/dev/null
echo "== deployment files"
scripts/k8s-check.sh
echo "== tests"
cargo nextest run --workspace --locked
echo "== a short run of faults"
# A minute in which everything that can die or hang does; scripts/chaos.sh has the long forms.
scripts/chaos.sh --dev --minutes 1 --seed 1
echo "== pages in Chromium"
cargo build --package fleet-dashboard --bins --locked --quiet
(cd dashboard/tests/browser && npm ci --silent --no-audit --no-fund && npm test --silent)
echo "== doctests"
cargo test --workspace --doc --locked
echo "== documentation"
RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked --quiet
