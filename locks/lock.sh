#!/usr/bin/env bash
# Pins every dependency, with hashes, for each thing that is installed: `make lock`.
set -euo pipefail
cd "$(dirname "$0")/.."

compile() { # OUTPUT, then options
  local output=$1
  shift
  uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
    --no-header --no-annotate --no-emit-index-url --output-file "locks/$output" "$@" pyproject.toml
}

# torch 2.6 is what production runs, so it is what the tests run.
compile dev.txt --extra operator --extra trainer --extra dev --constraint locks/constraints.txt
# What the base image of the trainer brings itself, and pip must never replace: torch, what torch
# needs, and NumPy, whose binary interface torch was built against.
base_brings=(torch gsplat triton setuptools numpy filelock fsspec jinja2 markupsafe mpmath networkx
  sympy)
while read -r package; do base_brings+=("$package"); done < <(
  grep -oE '^nvidia-[a-z0-9-]+' locks/dev.txt | sort -u)
compile operator.txt --extra operator
compile trainer.txt --extra trainer --constraint locks/constraints.txt \
  $(printf -- '--no-emit-package %s ' "${base_brings[@]}")

# What the images are built with: the project's build backend, and gsplat's source.
compile_from() { # OUTPUT, then the requirements on standard input
  uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
    --no-header --no-annotate --no-emit-index-url --no-deps --output-file "locks/$1" -
}
python3 -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["build-system"]["requires"], sep="\n")' |
  compile_from build.txt
grep -oE '^gsplat==[0-9.]+' locks/dev.txt | compile_from gsplat.txt

# The base image that stands in for NVIDIA's where that cannot be fetched (tests/cluster): PyPI's
# PyTorch for CUDA 13 and the compiler of the same CUDA. Triton compiles for a GPU that is there.
uv pip compile --quiet --universal --python-version 3.13 --generate-hashes \
  --no-header --no-annotate --no-emit-index-url --no-emit-package triton \
  --output-file locks/base-torch-cuda.txt - <<'END'
torch==2.11.0
nvidia-cuda-nvcc==13.0.88
nvidia-nvvm==13.0.88
nvidia-cuda-crt==13.0.88
nvidia-cuda-cccl==13.0.85
ninja
numpy
END
