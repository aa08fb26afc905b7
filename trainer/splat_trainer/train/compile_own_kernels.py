"""Compiles our own kernels: `python -m splat_trainer.train.compile_own_kernels 86 90`.

For each architecture, into Triton's cache; needs no GPU (kernels/own/no_gpu.py). What does not
compile is told in one line on standard output, and left out.
"""

import importlib
import sys

from splat_trainer.kernels.own.no_gpu import compile_for

_MODULES = (
    "splat_trainer.distributed.meeting_kernel",
    "splat_trainer.optimize.adam_kernel",
    "splat_trainer.optimize.fused_image_loss",
    "splat_trainer.optimize.gathered_kernel",
    "splat_trainer.optimize.scattered_kernel",
    "splat_trainer.rasterize.tile_pairs_kernel",
)
"""All that have kernels in Triton; each can launch every variant of them that trainings use."""


def main() -> None:
    """Compile for the architectures that the command line names."""
    for architecture in map(int, sys.argv[1:]):
        for name in _MODULES:
            try:
                compile_for(architecture)
                importlib.import_module(name).launch_all_variants()
            except Exception as error:
                why = (str(error).strip().splitlines() or [type(error).__name__])[0]
                print(f"{name} for {architecture}: {why[:200]}", flush=True)


if __name__ == "__main__":
    main()
