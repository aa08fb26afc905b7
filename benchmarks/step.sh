#!/usr/bin/env bash
# On a machine with an NVIDIA GPU, from the repository's root:
#
#   benchmarks/step.sh OUT CAPTURE
#
# compiles gsplat's kernels (or takes those in OUT/kernels, a kernel cache), says which kernels of
# our own are in use, runs the tests that need a GPU, and measures a step (benchmarks/step.py) at
# 165,000 and 1,000,000 Gaussians: by the clock, in all and kernel by kernel, before and after.
# OUT gets kernels/, doctor.txt, gpu-tests.txt, step.txt and step.json. PYTHON names the interpreter.
set -euo pipefail
out=${1:?usage: benchmarks/step.sh OUT CAPTURE}
capture=${2:?usage: benchmarks/step.sh OUT CAPTURE}
python=${PYTHON:-python3}
export PYTHONPATH=$PWD/trainer:$PWD${PYTHONPATH:+:$PYTHONPATH} PYTHONUNBUFFERED=1
export SPLAT_KERNELS_DIR=$out/kernels

echo "==> gsplat's kernels"
gpu=$("$python" -c 'import torch; print("%d.%d" % torch.cuda.get_device_capability())')
"$python" -m splat_trainer.cli kernels build --cache "$SPLAT_KERNELS_DIR" --architectures "$gpu"

status=0
echo "==> Which kernels are in use"
"$python" -m splat_trainer.cli doctor 2>&1 | tee "$out/doctor.txt" || status=1

echo "==> Tests of kernels and recordings"
timeout 300 "$python" -m pytest -q -p no:cacheprovider tests/gpu/test_own_kernels.py \
  tests/gpu/test_recording.py 2>&1 | tee "$out/gpu-tests.txt" || status=1

echo "==> A step"
"$python" -m benchmarks.step "$capture" --json "$out/step.json" 2>&1 | tee "$out/step.txt" || status=1
exit $status
