"""Gradients that several GPUs have gathered, each in memory of its own that all of them read.

Whoever wants their sums adds them up as it reads them, always in the order of the ranks, so that
all get the same bits. Of another GPU's memory only those rows cross the link that it has seen:
about half of them, where an all-reduce moves all.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from splat_trainer.kernels.self_check import agree, use_if_right
from splat_trainer.optimize.adam_step import drawn_rates, step_all
from splat_trainer.optimize.gathered import Gathered, floats_for, gather, gradient_shapes


@dataclass(frozen=True)
class Scattered:
    """`addresses` [R] int64 are where the sums of each of R ranks lie, all laid out like `own`.

    They are narrow ones (`Gathered`): the link between GPUs is what a step waits for. Others are
    refused with a ValueError, for whoever reads them would take them for what they are not.
    """

    addresses: Tensor
    own: Gathered

    def __post_init__(self) -> None:
        if not self.own.narrow:
            raise ValueError("GPUs read each other's gradients where these are narrow only")

    def whole(self) -> Gathered:
        """The sums of all, in memory of their own, none of it narrow."""
        from splat_trainer.optimize.scattered_kernel import sum_up  # noqa: PLC0415 - Triton

        shapes = self.own.shapes
        total = Gathered(self.own.flat.new_empty(floats_for(shapes)), shapes)
        sum_up(self, total)
        return total


class ScatteredStep(Protocol):
    """A step of Adam by scattered gradients."""

    def __call__(
        self,
        leaves: Sequence[Tensor],
        gradients: Scattered,
        first: Sequence[Tensor],
        second: Sequence[Tensor],
        rates: Tensor,
        *,
        betas: tuple[float, float],
        epsilon: float,
        visible_only: bool,
    ) -> None:
        """See `adam_step.AdamStep`; `visible_only` are the rows that some rank has seen."""


def scattered_step_for(device: torch.device) -> ScatteredStep | None:
    """The step in one Triton kernel; None on the CPU, and where it does not work."""
    if device.type != "cuda":
        return None
    return use_if_right("fused Adam of several GPUs", _fused, check_fused)


def _fused() -> ScatteredStep:
    from splat_trainer.optimize.scattered_kernel import step_scattered  # noqa: PLC0415 - Triton

    return step_scattered


def check_fused(
    fused: ScatteredStep,
    device: str = "cuda",
    *,
    ranks: int = 2,
    count: int = 333,
    degree: int = 3,
) -> None:
    """Compare a step of all rows and one of visible ones with those of plain PyTorch.

    Raises:
        DisagreementError: they differ.
    """
    generator = torch.Generator().manual_seed(count)
    shapes = gradient_shapes(count, degree)

    def draw() -> list[Tensor]:
        return [torch.randn(shape, generator=generator).to(device) for shape in shapes]

    floats = floats_for(shapes, narrow=True)
    gathered = [
        Gathered(torch.full((floats,), 5.0, device=device), shapes, narrow=True)
        for _ in range(ranks)
    ]
    for one in gathered:
        rows = (torch.rand(count, generator=generator) < 0.4).to(device)
        gather(one, draw(), rows, first=True)
    addresses = torch.tensor([one.flat.data_ptr() for one in gathered], device=device)
    scattered = Scattered(addresses, gathered[0])
    whole = [
        torch.stack([one.gradients[index].float() for one in gathered]).sum(0)
        for index in range(len(shapes))
    ]
    seen = torch.stack([one.times_seen for one in gathered]).sum(0)
    summed = scattered.whole()
    agree(summed.parts, [*whole, seen], relative=1e-6)

    rates = drawn_rates(generator).to(device)
    leaves, first = draw(), draw()
    second = [one.square() for one in draw()]
    for visible_only in (False, True):
        states = [
            [[one.clone() for one in kind] for kind in (leaves, first, second)] for _ in range(2)
        ]
        found, wanted = states
        fused(
            *(found[0], scattered, found[1], found[2], rates),
            betas=(0.9, 0.999),
            epsilon=1e-15,
            visible_only=visible_only,
        )
        step_all(
            *(wanted[0], whole, wanted[1], wanted[2], rates),
            betas=(0.9, 0.999),
            epsilon=1e-15,
            visible=seen > 0 if visible_only else None,
        )
        flat = [[torch.cat([one.flatten() for one in kind]) for kind in state] for state in states]
        agree(flat[0], flat[1], relative=1e-5)
