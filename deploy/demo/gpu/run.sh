#!/usr/bin/env bash
# `make gpu-demo` and, with `scenes`, `make gpu-scenes`: the demo on a machine with an NVIDIA GPU, PyTorch with CUDA, and no registry.
# What `make gpu-pack` made must be in .gpu/ (or in $GPU_PACK).
set -euo pipefail
cd "$(dirname "$0")/../../.."
GPU_PACK=$(realpath "${GPU_PACK:-.gpu}")
export GPU_PACK
if ! test "$GPU_PACK/site/.unpacked" -nt "$GPU_PACK/site.tar.xz"; then
  rm -rf "$GPU_PACK/site"
  tar --extract --file "$GPU_PACK/site.tar.xz" --directory "$GPU_PACK"
  touch "$GPU_PACK/site/.unpacked"
fi
export PYTHONPATH="$GPU_PACK/site" PYTHONUNBUFFERED=1
exec python3 -m deploy.demo.gpu "${1:-up}"
