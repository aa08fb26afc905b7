#!/usr/bin/env bash
# `make gpu-demo`: the demo on a machine with an NVIDIA GPU, PyTorch with CUDA, and no registry.
# What `make gpu-pack` made must be in .gpu/ (or in $GPU_PACK).
set -euo pipefail
cd "$(dirname "$0")/../../.."
packed=${GPU_PACK:-.gpu}
test -d "$packed/site" || tar --extract --file "$packed/site.tar.xz" --directory "$packed"
export PYTHONPATH="$PWD/$packed/site" PYTHONUNBUFFERED=1
exec python3 -m deploy.demo.gpu up "$@"
