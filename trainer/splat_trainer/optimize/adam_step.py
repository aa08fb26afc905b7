"""One step of Adam over all parameters of a splat, in plain PyTorch.

What the CPU trains with, and the twin of the kernel in `adam_kernel.py`. Nothing in it makes the
host wait for a GPU or depends on values.
"""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from splat_trainer.kernels.self_check import agree, use_if_right

SH0_RATE, SHN_RATE, FIRST_SHARE, SECOND_SHARE, STEPS = 4, 5, 6, 7, 8
RATES = 9
"""What a step reads: the learning rates of means, quats, scales and opacities, of the first
coefficients of the spherical harmonics and of the others; 1 - beta^t for both betas, by which
Adam corrects for a memory that began at zero; and t, the steps since then, this one included."""


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
    if not len(leaves[0]):
        return
    if visible is not None:
        _step_visible(leaves, gradients, first, second, rates, betas, epsilon, visible)
        return
    # The kernel that torch.optim.Adam(fused=True) calls, which has one rate for a tensor: the
    # first coefficients of sh are stepped once more, beside it, by theirs.
    sh0 = [
        one[4][:, 0].clone(memory_format=torch.contiguous_format)
        for one in (leaves, gradients, first, second)
    ]
    rows = [*zip(leaves, gradients, first, second, strict=True), tuple(sh0)]
    of_rows = (0, 1, 2, 3, SHN_RATE, SH0_RATE)
    for (leaf, gradient, mean, square), rate in zip(rows, of_rows, strict=True):
        torch._fused_adam_(
            *([leaf], [gradient], [mean], [square], [], [rates[STEPS]]),
            lr=rates[rate],
            beta1=betas[0],
            beta2=betas[1],
            weight_decay=0.0,
            eps=epsilon,
            amsgrad=False,
            maximize=False,
        )
    leaves[4][:, 0] = sh0[0]


def _step_visible(
    leaves: Sequence[Tensor],
    gradients: Sequence[Tensor],
    first: Sequence[Tensor],
    second: Sequence[Tensor],
    rates: Tensor,
    betas: tuple[float, float],
    epsilon: float,
    visible: Tensor,
) -> None:
    """The same for some rows, by masks: nobody knows how many they are."""
    together = zip(leaves, gradients, first, second, strict=True)
    for index, (leaf, gradient, mean, square) in enumerate(together):
        shown = visible.view(-1, *[1] * (leaf.dim() - 1))
        mean.copy_(torch.where(shown, torch.lerp(mean, gradient, 1 - betas[0]), mean))
        moved = (square * betas[1]).addcmul_(gradient, gradient, value=1 - betas[1])
        square.copy_(torch.where(shown, moved, square))
        way = _way(mean, square, rates, epsilon) * _rate(rates, index, leaf)
        leaf.sub_(torch.where(shown, way, 0))


def _way(mean: Tensor, square: Tensor, rates: Tensor, epsilon: float) -> Tensor:
    """How far to go at a learning rate of 1, from both moments."""
    below = square.sqrt().div_(rates[SECOND_SHARE].sqrt()).add_(epsilon)
    return (mean / below).div_(rates[FIRST_SHARE])


def _rate(rates: Tensor, index: int, leaf: Tensor) -> Tensor:
    """The learning rate of a parameter; for sh one a coefficient, [K, 1]."""
    if leaf.dim() < 3:
        return rates[index]
    rest = rates[SHN_RATE : SHN_RATE + 1].expand(leaf.shape[1] - 1)
    return torch.cat([rates[SH0_RATE : SH0_RATE + 1], rest])[:, None]


def adam_step_for(device: torch.device, *, visible_only: bool = False) -> AdamStep:
    """The fastest `AdamStep` that works on a device: one Triton kernel on a GPU, if it can.

    With `visible_only` it is for steps of visible rows, else for those of all: they are two
    kernels, and compiling one takes about a second.
    """
    if device.type != "cuda":
        return step_all
    name = "fused Adam of visible rows" if visible_only else "fused Adam"
    fused = use_if_right(name, _fused, lambda one: check_fused(one, visible_only=visible_only))
    return fused or step_all


def _fused() -> AdamStep:
    from splat_trainer.optimize.adam_kernel import fused_step_all  # noqa: PLC0415 - Triton

    return fused_step_all


def check_fused(
    fused: AdamStep,
    device: str = "cuda",
    *,
    visible_only: bool = False,
    count: int = 333,
    degree: int = 3,
) -> None:
    """Compare a step with that of `step_all`, of all rows or of visible ones.

    Raises:
        DisagreementError: they differ.
    """
    generator = torch.Generator().manual_seed(count)
    shapes = [(count, 3), (count, 4), (count, 3), (count,), (count, (degree + 1) ** 2, 3)]

    def draw() -> list[Tensor]:
        return [torch.randn(shape, generator=generator).to(device) for shape in shapes]

    rates = drawn_rates(generator).to(device)
    leaves, gradients, first = draw(), draw(), draw()
    second = [one.square() for one in draw()]
    visible = leaves[3] > 0 if visible_only else None
    results = []
    for step in (fused, step_all):
        state = [[one.clone() for one in kind] for kind in (leaves, first, second)]
        step(
            *(state[0], gradients, state[1], state[2], rates),
            betas=(0.9, 0.999),
            epsilon=1e-15,
            visible=visible,
        )
        results.append([torch.cat([one.flatten() for one in kind]) for kind in state])
    agree(results[0], results[1], relative=1e-5)


def drawn_rates(generator: torch.Generator) -> Tensor:
    """Rates [RATES] at random, as after some steps with betas of 0.9 and 0.999: for checks."""
    steps = float(torch.randint(1, 5000, (), generator=generator))
    rates = torch.rand(RATES, generator=generator) * 0.9 + 0.05
    rates[FIRST_SHARE:] = torch.tensor([1 - 0.9**steps, 1 - 0.999**steps, steps])
    return rates
