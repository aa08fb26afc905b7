#!/usr/bin/env bash
# On a machine with an NVIDIA GPU, from the repository's root:
#
#   benchmarks/gpu.sh OUT [CAPTURE...]
#
# compiles gsplat's kernels (or takes those in OUT/kernels, a kernel cache), runs the tests that need
# a GPU, and trains the captures. OUT gets kernels/, gpu-tests.txt, and train.json with the figures.
# PYTHON names the interpreter, STEPS the steps to train (several by spaces).
set -euo pipefail
out=${1:?usage: benchmarks/gpu.sh OUT [CAPTURE...]}
shift
python=${PYTHON:-python3}
export PYTHONPATH=$PWD/trainer:$PWD${PYTHONPATH:+:$PYTHONPATH} PYTHONUNBUFFERED=1

export SPLAT_KERNELS_DIR=$out/kernels
echo "==> gsplat's kernels"
gpu=$("$python" -c 'import torch; print("%d.%d" % torch.cuda.get_device_capability())')
"$python" -m splat_trainer.cli kernels build --cache "$SPLAT_KERNELS_DIR" --architectures "$gpu"

echo "==> Tests that need a GPU"
status=0
"$python" -m pytest -q -p no:cacheprovider tests/gpu 2>&1 | tee "$out/gpu-tests.txt" || status=1

if (($#)); then
  echo "==> Training"
  # shellcheck disable=SC2086 # several steps are several words
  "$python" -m benchmarks.train "$@" --steps ${STEPS:-7000} --json "$out/train.json"
fi
exit $status
