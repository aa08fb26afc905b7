"""One step of Adam over all parameters of a splat, in plain PyTorch.

What the CPU trains with, and the twin of the kernel in `adam_kernel.py`. Nothing in it makes the
host wait or depends on values, so that it can be recorded as a CUDA graph.
"""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from splat_trainer.kernels.self_check import agree, use_if_right

SH0_RATE, SHN_RATE, FIRST_SHARE, SECOND_SHARE = 4, 5, 6, 7
RATES = 8
"""What a step reads: the learning rates of means, quats, scales and opacities, of the first
coefficients of the spherical harmonics and of the others; and 1 - beta^t for both betas, by which
Adam corrects for a memory that began at zero, t steps ago."""


class AdamStep(Protocol):
    """Steps all parameters by their gradients, in place."""

    def __call__(
        self,
        leaves: Sequence[Tensor],
        gradients: Sequence[Tensor],
        first: Sequence[Tensor],
        second: Sequence[Tensor],
        rates: Tensor,
        *,
        betas: tuple[float, float],
        epsilon: float,
        visible: Tensor | None = None,
    ) -> None:
        """Kingma and Ba 2015, algorithm 1, as `torch.optim.Adam` computes it.

        `leaves` are means [N, 3], quats [N, 4], scales [N, 3], opacities [N] and sh [N, K, 3];
        `gradients` and the moments `first` and `second` are of their shapes; all are contiguous
        float32. `rates` [RATES] is on the same device. Rows that `visible` [N] bool is false for
        stay as they are, their moments too.
        """


@torch.no_grad()
def step_all(
    leaves: Sequence[Tensor],
    gradients: Sequence[Tensor],
    first: Sequence[Tensor],
    second: Sequence[Tensor],
    rates: Tensor,
    *,
    betas: tuple[float, float],
    epsilon: float,
    visible: Tensor | None = None,
) -> None:
    """See `AdamStep`."""
    beta1, beta2 = betas
    roots = rates[SECOND_SHARE].sqrt()
    together = zip(leaves, gradients, first, second, strict=True)
    for index, (leaf, gradient, mean, square) in enumerate(together):
        if not leaf.numel():
            continue
        if visible is None:
            mean.lerp_(gradient, 1 - beta1)
            square.mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
        else:
            shown = visible.view(-1, *[1] * (leaf.dim() - 1))
            mean.copy_(torch.where(shown, torch.lerp(mean, gradient, 1 - beta1), mean))
            moved = (square * beta2).addcmul_(gradient, gradient, value=1 - beta2)
            square.copy_(torch.where(shown, moved, square))
        way = mean / square.sqrt().div_(roots).add_(epsilon)
        way *= _rate(rates, index, leaf) / rates[FIRST_SHARE]
        leaf.sub_(way if visible is None else torch.where(shown, way, 0))


def adam_step_for(device: torch.device) -> AdamStep:
    """The fastest `AdamStep` that works on a device: one Triton kernel on a GPU, if it can."""
    if device.type != "cuda":
        return step_all
    return use_if_right("fused Adam", _fused, check_fused) or step_all


def _fused() -> AdamStep:
    from splat_trainer.optimize.adam_kernel import fused_step_all  # noqa: PLC0415 - Triton

    return fused_step_all


def check_fused(
    fused: AdamStep, device: str = "cuda", *, count: int = 333, degree: int = 3
) -> None:
    """Compare a step with that of `step_all`, of all rows and of visible ones.

    Raises:
        DisagreementError: they differ.
    """
    generator = torch.Generator().manual_seed(count)
    shapes = [(count, 3), (count, 4), (count, 3), (count,), (count, (degree + 1) ** 2, 3)]

    def draw() -> list[Tensor]:
        return [torch.randn(shape, generator=generator).to(device) for shape in shapes]

    rates = torch.rand(RATES, generator=generator).to(device) * 0.9 + 0.05
    leaves, gradients, first = draw(), draw(), draw()
    second = [one.square() for one in draw()]
    for visible in (None, leaves[3] > 0):
        results = []
        for step in (fused, step_all):
            state = [[one.clone() for one in kind] for kind in (leaves, first, second)]
            step(
                *(state[0], gradients, state[1], state[2], rates),
                betas=(0.9, 0.999),
                epsilon=1e-15,
                visible=visible,
            )
            results.append([one for kind in state for one in kind])
        agree(results[0], results[1], relative=1e-5)


def _rate(rates: Tensor, index: int, leaf: Tensor) -> Tensor:
    """The learning rate of a parameter; for sh one a coefficient, [K, 1]."""
    if leaf.dim() < 3:
        return rates[index]
    rest = rates[SHN_RATE : SHN_RATE + 1].expand(leaf.shape[1] - 1)
    return torch.cat([rates[SH0_RATE : SH0_RATE + 1], rest])[:, None]
