"""What is told of the trainer's own kernels; they themselves are tested in own_kernels/."""

import torch

from splat_trainer.kernels.self_check import CheckedKernel
from splat_trainer.rasterize.reference import ReferenceRasterizer
from splat_trainer.train.own_kernels import check_own_kernels, told


def test_the_cpu_uses_none() -> None:
    assert check_own_kernels(ReferenceRasterizer(), torch.device("cpu")) == []
    assert told([]) == "none (0.0 s)"


def test_what_is_used_and_what_is_not_is_told_in_a_line() -> None:
    kernels = [
        CheckedKernel("fused Adam", True, 0.75),
        CheckedKernel("tile lists", False, 0.5, "no compiler"),
        CheckedKernel("fused image loss", True, 1.0),
    ]
    assert told(kernels) == "fused Adam, fused image loss; not tile lists: no compiler (2.2 s)"
