"""Gradients of several views, added up until Adam steps."""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from splat_trainer.kernels.self_check import agree, use_if_right

PART = 64
"""Parts begin at multiples of this many floats, for kernels that read 16 bytes at once."""

_NARROW = torch.bfloat16
"""What the last gradients are stored as where they are narrow, as PyTorch's own hook for replicas
compresses all of them (torch/distributed/algorithms/ddp_comm_hooks, bf16_compress_hook)."""


class Gathered:
    """Sums of gradients, a part for each parameter, and how many looks have seen each row, [N].

    All parts lie in one piece of memory, so that replicas tell them to each other as one. Rows
    that no look has seen are zero, once anything was added. Where they are `narrow`, the last
    parameter's, the spherical harmonics', are bfloat16: four fifths of a splat in half the memory.
    """

    def __init__(
        self, memory: Tensor, shapes: Sequence[torch.Size], *, narrow: bool = False
    ) -> None:
        self.narrow = narrow
        self.places, end = _places(shapes, narrow)
        self.flat = memory[:end]
        *self.gradients, self.times_seen = [
            self.flat[place:].view(kind)[: shape.numel()].view(shape)
            for place, (shape, kind) in zip(self.places, _kinds(shapes, narrow), strict=True)
        ]

    @property
    def shapes(self) -> list[torch.Size]:
        """Those of the gradients."""
        return [one.shape for one in self.gradients]

    def whole(self) -> "Gathered":
        """These very sums, as `Scattered` ones have to be added up."""
        return self

    @property
    def parts(self) -> list[Tensor]:
        """The gradients, and the counts."""
        return [*self.gradients, self.times_seen]

    def take(self, other: "Gathered") -> None:
        """Be the sums that `other` is, whichever of both is narrow."""
        for own, theirs in zip(self.parts, other.parts, strict=True):
            own.copy_(theirs)

    def clear(self) -> None:
        """As if every look had seen nothing."""
        self.flat.zero_()


def floats_for(shapes: Sequence[torch.Size], *, narrow: bool = False) -> int:
    """How much memory sums of gradients of such shapes take."""
    return _places(shapes, narrow)[1]


def _kinds(shapes: Sequence[torch.Size], narrow: bool) -> list[tuple[torch.Size, torch.dtype]]:
    """What each part is: the gradients, then the counts."""
    last = _NARROW if narrow else torch.float32
    kinds = [*[torch.float32] * (len(shapes) - 1), last, torch.float32]
    return [*zip([*shapes, shapes[0][:1]], kinds, strict=True)]


def _places(shapes: Sequence[torch.Size], narrow: bool) -> tuple[list[int], int]:
    """Where each part begins, and where the last ends, in floats."""
    places, end = [], 0
    for shape, kind in _kinds(shapes, narrow):
        places.append(end)
        end += -(-shape.numel() * kind.itemsize // (4 * PART)) * PART
    return places, end


class Gather(Protocol):
    """Adds the gradients of a look to those of the looks before."""

    def __call__(
        self, total: Gathered, gradients: Sequence[Tensor], rows: Tensor, *, first: bool
    ) -> None:
        """Add `gradients`, of the rows that `rows` [N] bool is true for, and count these.

        `gradients` are of the shapes that `total` has, contiguous float32. Sums that are narrow
        are rounded to the nearest. With `first` there were no looks before, whatever the memory
        holds.
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


def check_fused(
    fused: Gather,
    device: str = "cuda",
    *,
    count: int = 333,
    degree: int = 3,
    narrow: bool = False,
    relative: float = 1e-6,
) -> None:
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
        memory = torch.full((floats_for(shapes, narrow=narrow),), 7.0, device=device)
        total = Gathered(memory, shapes, narrow=narrow)
        for index, (gradients, rows) in enumerate(looks):
            way(total, gradients, rows, first=index == 0)
        sums.append([one.float() for one in total.parts])
    agree(sums[0], sums[1], relative=relative)


def gradient_shapes(count: int, degree: int) -> list[torch.Size]:
    """Those of so many Gaussians' parameters, in their order."""
    widths = ((3,), (4,), (3,), (), ((degree + 1) ** 2, 3))
    return [torch.Size((count, *width)) for width in widths]
