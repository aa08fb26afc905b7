#!/usr/bin/env bash
# All rows of docs/benchmarks.md's Operator section, on a cluster of its own that goes at the end.
#   benchmarks/operator.sh [FOLDER for the logs]     some 25 minutes on two idle cores
# The most important come first, so that it can be cut short.
set -euo pipefail
cd "$(dirname "$0")/.."
out=${1:-$(mktemp -d)}
mkdir -p "$out"
python=${PYTHON:-.venv/bin/python}
cluster=(--name scale)

measure() {  # NAME ARGUMENTS...
    local name=$1
    shift
    echo "== $name: $*" | tee -a "$out/rows.txt"
    uptime | tee -a "$out/rows.txt"
    "$python" -m tests.cluster exec "${cluster[@]}" -- \
        "$python" -m benchmarks.operator "$@" 2>&1 | tee -a "$out/rows.txt" || true
}

"$python" -m tests.cluster down "${cluster[@]}" >/dev/null 2>&1 || true
trap '"$python" -m tests.cluster down "${cluster[@]}"' EXIT
"$python" -m tests.cluster up "${cluster[@]}" --gpus 0

for turn in 1 2 3; do measure "burst-$turn" --trainings 1000 --over 10; done
measure running --running 500 --seconds 60
for turn in 1 2 3; do measure "hundred-$turn" --trainings 100; done
measure peer --trainings 200 --over 10 --pods --peer
measure heedless --running 500 --seconds 30 --every 2
measure ten-thousand --trainings 10000 --restart --timeout 600 --keep
echo "rows in $out/rows.txt"
