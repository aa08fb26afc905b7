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
# What the base image of the trainer brings itself, and pip must never replace.
base_brings=(torch gsplat triton setuptools)
while read -r package; do base_brings+=("$package"); done < <(
  grep -oE '^nvidia-[a-z0-9-]+' locks/dev.txt | sort -u)
compile operator.txt --extra operator
compile trainer.txt --extra trainer --constraint locks/constraints.txt \
  $(printf -- '--no-emit-package %s ' "${base_brings[@]}")
