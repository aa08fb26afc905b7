#!/usr/bin/env bash
# On a machine with an NVIDIA GPU, from the repository's root:
#
#   benchmarks/gpu.sh OUT [CAPTURE...]
#
# compiles gsplat's kernels (or takes OUT/kernels), runs the tests that need a GPU, and trains the
# captures. OUT gets kernels/gsplat_cuda.so, gpu-tests.txt, and train.json with the figures.
# PYTHON names the interpreter, STEPS the steps to train (several by spaces).
set -euo pipefail
out=${1:?usage: benchmarks/gpu.sh OUT [CAPTURE...]}
shift
python=${PYTHON:-python3}
export PYTHONPATH=$PWD/trainer:$PWD${PYTHONPATH:+:$PYTHONPATH} PYTHONUNBUFFERED=1

mkdir -p "$out/kernels"
if [[ ! -e $out/kernels/gsplat_cuda.so ]]; then
  build=$(mktemp -d)
  echo "==> Compiling gsplat's kernels"
  time TORCH_EXTENSIONS_DIR=$build MAX_JOBS=${MAX_JOBS:-$(nproc)} "$python" -c \
    'from splat_trainer.kernels.ensure import ensure_kernels; ensure_kernels()'
  cp "$build"/gsplat_cuda/gsplat_cuda.so "$out/kernels/"
  rm -rf "$build"
fi
export SPLAT_KERNELS_DIR=$out/kernels

echo "==> Tests that need a GPU"
status=0
"$python" -m pytest -q -p no:cacheprovider tests/gpu 2>&1 | tee "$out/gpu-tests.txt" || status=1

if (($#)); then
  echo "==> Training"
  # shellcheck disable=SC2086 # several steps are several words
  "$python" -m benchmarks.train "$@" --steps ${STEPS:-7000} --json "$out/train.json"
fi
exit $status
