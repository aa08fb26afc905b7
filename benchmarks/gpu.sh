#!/usr/bin/env bash
# On a machine with an NVIDIA GPU, from the repository's root:
#
#   benchmarks/gpu.sh OUT [CAPTURE...] [-- OPTION...]
#
# compiles gsplat's kernels (or takes those in OUT/kernels, a kernel cache, or in SPLAT_KERNELS_DIR),
# runs the tests that need a GPU unless OUT/gpu-tests.txt tells of them already, and trains the
# captures as the options of benchmarks/train.py say. OUT gets kernels/, gpu-tests.txt, and NAME.json
# with the figures.
# PYTHON names the interpreter, STEPS the steps to train (several by spaces), NAME the figures
# (default: train).
set -euo pipefail
out=${1:?usage: benchmarks/gpu.sh OUT [CAPTURE...] [-- OPTION...]}
shift
captures=()
while (($#)) && [[ $1 != -- ]]; do
  captures+=("$1")
  shift
done
(($#)) && shift
python=${PYTHON:-python3}
export PYTHONPATH=$PWD/trainer:$PWD${PYTHONPATH:+:$PYTHONPATH} PYTHONUNBUFFERED=1

mkdir -p "$out"
if [[ -z ${SPLAT_KERNELS_DIR:-} ]]; then
  export SPLAT_KERNELS_DIR=$out/kernels
  echo "==> gsplat's kernels"
  gpu=$("$python" -c 'import torch; print("%d.%d" % torch.cuda.get_device_capability())')
  "$python" -m splat_trainer.cli kernels build --cache "$SPLAT_KERNELS_DIR" --architectures "$gpu"
fi

status=0
if [[ ! -s $out/gpu-tests.txt ]]; then
  echo "==> Tests that need a GPU"
  "$python" -m pytest -q -p no:cacheprovider tests/gpu 2>&1 | tee "$out/gpu-tests.txt" || status=1
fi

if ((${#captures[@]})); then
  echo "==> Training"
  # shellcheck disable=SC2086 # several steps are several words
  "$python" -m benchmarks.train "${captures[@]}" ${STEPS:+--steps $STEPS} \
    --json "$out/${NAME:-train}.json" "$@" 2>"$out/${NAME:-train}.log" || status=1
  grep -E "^splat-trainer|^#.*(FAILED|out of time)|Error" "$out/${NAME:-train}.log" || true
fi
exit $status
