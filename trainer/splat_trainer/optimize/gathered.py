"""Gradients of several views, added up until Adam steps."""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from splat_trainer.kernels.self_check import agree, use_if_right

_PART = 64
"""Parts begin at multiples of this many floats, for kernels that read 16 bytes at once."""


class Gathered:
    """Sums of gradients, a part for each parameter, and how many looks have seen each row, [N].

    All parts lie in one piece of memory, so that replicas tell them to each other as one. Rows
    that no look has seen are zero, once anything was added.
    """

    def __init__(self, memory: Tensor, shapes: Sequence[torch.Size]) -> None:
        self.flat = memory[: floats_for(shapes)]
        self.places = _places(shapes)
        *self.gradients, self.times_seen = [
            self.flat[place : place + shape.numel()].view(shape)
            for place, shape in zip(self.places, _with_times(shapes), strict=True)
        ]

    @property
    def shapes(self) -> list[torch.Size]:
        """Those of the gradients."""
        return [one.shape for one in self.gradients]

    def whole(self) -> "Gathered":
        """These very sums, as `Scattered` ones have to be added up."""
        return self

    def clear(self) -> None:
        """As if every look had seen nothing."""
        self.flat.zero_()


def floats_for(shapes: Sequence[torch.Size]) -> int:
    """How much memory sums of gradients of such shapes take."""
    return _places(shapes)[-1] + _aligned(shapes[0][0])


def _places(shapes: Sequence[torch.Size]) -> list[int]:
    places, end = [], 0
    for shape in _with_times(shapes):
        places.append(end)
        end += _aligned(shape.numel())
    return places


def _with_times(shapes: Sequence[torch.Size]) -> list[torch.Size]:
    return [*shapes, shapes[0][:1]]


def _aligned(count: int) -> int:
    return -(-count // _PART) * _PART


class Gather(Protocol):
    """Adds the gradients of a look to those of the looks before."""

    def __call__(
        self, total: Gathered, gradients: Sequence[Tensor], rows: Tensor, *, first: bool
    ) -> None:
        """Add `gradients`, of the rows that `rows` [N] bool is true for, and count these.

        `gradients` are of the shapes that `total` has, contiguous float32. With `first` there
        were no looks before, whatever the memory holds.
        """


@torch.no_grad()
def gather(total: Gathered, gradients: Sequence[Tensor], rows: Tensor, *, first: bool) -> None:
    """See `Gather`: in plain PyTorch."""
    if first:
        total.clear()
    for part, gradient in zip(total.gradients, gradients, strict=True):
        shown = rows.view(-1, *[1] * (gradient.dim() - 1))
        part.add_(torch.where(shown, gradient, 0))
    total.times_seen.add_(rows)


def gather_for(device: torch.device) -> Gather:
    """The fastest that works on a device: one Triton kernel on a GPU, if it can."""
    if device.type != "cuda":
        return gather
    return use_if_right("sums of views", _fused, check_fused) or gather


def _fused() -> Gather:
    from splat_trainer.optimize.gathered_kernel import fused_gather  # noqa: PLC0415 - Triton

    return fused_gather


def check_fused(fused: Gather, device: str = "cuda", *, count: int = 333, degree: int = 3) -> None:
    """Compare the sums of two looks with those of `gather`, in memory that held something else.

    Raises:
        DisagreementError: they differ.
    """
    generator = torch.Generator().manual_seed(count)
    shapes = gradient_shapes(count, degree)
    looks = [
        (
            [torch.randn(shape, generator=generator).to(device) for shape in shapes],
            (torch.rand(count, generator=generator) < 0.4).to(device),
        )
        for _ in range(2)
    ]
    sums = []
    for way in (fused, gather):
        total = Gathered(torch.full((floats_for(shapes),), 7.0, device=device), shapes)
        for index, (gradients, rows) in enumerate(looks):
            way(total, gradients, rows, first=index == 0)
        sums.append([*total.gradients, total.times_seen])
    agree(sums[0], sums[1], relative=1e-6)


def gradient_shapes(count: int, degree: int) -> list[torch.Size]:
    """Those of so many Gaussians' parameters, in their order."""
    widths = ((3,), (4,), (3,), (), ((degree + 1) ** 2, 3))
    return [torch.Size((count, *width)) for width in widths]
