#!/usr/bin/env bash
# Runs the commands of docs/PERFORMANCE.md: every line of its blocks marked `sh`. Blocks marked `text`
# show output, need names of your own, or take long.
set -euo pipefail
cd "$(dirname "$0")/.."
COMMANDS="$(awk '/^```sh$/ { on = 1; next } /^```$/ { on = 0 } on' docs/PERFORMANCE.md)"
[ -n "$COMMANDS" ] || { echo "guide.sh: docs/PERFORMANCE.md has no commands" >&2; exit 1; }
count=0
while IFS= read -r command; do
    [ -n "$command" ] || continue
    echo "== $command"
    bash -euo pipefail -c "$command" </dev/null || { echo "guide.sh: this command of the guide fails: $command" >&2; exit 1; }
    count=$((count + 1))
done <<<"$COMMANDS"
echo "$count commands of the guide work"
