"""The sums of `gathered.py` in one Triton kernel, which touches no more than the rows seen."""
# ruff: noqa: ANN001, ANN202, N803 - Triton compiles the kernels: pointers and numbers, by name
# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-decorators

from collections.abc import Sequence

import torch
import triton
import triton.language as tl
from torch import Tensor

from splat_trainer.optimize.gathered import Gathered, floats_for, gradient_shapes

_BLOCK = 1024


def fused_gather(
    total: Gathered, gradients: Sequence[Tensor], rows: Tensor, *, first: bool
) -> None:
    """See `gathered.Gather`."""
    count = len(rows)
    sh_width = gradients[4].shape[1] * 3
    ends, end = [], 0
    for width in (3, 4, 3, 1, sh_width, 1):
        end += triton.cdiv(count * width, _BLOCK)
        ends.append(end)
    together = zip(total.gradients, gradients, strict=True)
    _gather[(end,)](
        *(tensor for two in together for tensor in two),
        total.times_seen, rows.view(torch.uint8), *ends[:5], count,
        SH=sh_width, FIRST=first, BLOCK=_BLOCK,
    )  # fmt: skip


def launch_all_variants() -> None:
    """Launch each kernel that trainings use, on the CPU's memory: to compile without a GPU."""
    for degree, narrow in ((3, True), (3, False), (2, False), (1, False), (0, False)):
        shapes = gradient_shapes(1, degree)
        memory = torch.zeros(floats_for(shapes, narrow=narrow))
        total = Gathered(memory, shapes, narrow=narrow)
        for first in (True, False):
            gradients = [torch.zeros(shape) for shape in shapes]
            fused_gather(total, gradients, torch.ones(1, dtype=torch.bool), first=first)


@triton.jit
def _gather_block(
    total, gradient, rows, block, count,
    WIDTH: tl.constexpr, FIRST: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Gather the `block`-th BLOCK numbers of one parameter, of WIDTH numbers a row."""
    at = block.to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = at < count.to(tl.int64) * WIDTH
    shown = inside & (tl.load(rows + at // WIDTH, mask=inside, other=0) != 0)
    value = tl.load(gradient + at, mask=shown, other=0.0)
    if FIRST:
        tl.store(total + at, value, mask=inside)
    else:
        tl.store(total + at, tl.load(total + at, mask=shown, other=0.0) + value, mask=shown)


@triton.jit(do_not_specialize=["end0", "end1", "end2", "end3", "end4", "count"])
def _gather(
    total0, gradient0, total1, gradient1, total2, gradient2, total3, gradient3,
    total4, gradient4, times_seen, rows, end0, end1, end2, end3, end4, count,
    SH: tl.constexpr, FIRST: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Each program gathers one block of one parameter, or of the counts."""
    block = tl.program_id(0)
    if block < end0:
        _gather_block(total0, gradient0, rows, block, count, 3, FIRST, BLOCK)
    elif block < end1:
        _gather_block(total1, gradient1, rows, block - end0, count, 4, FIRST, BLOCK)
    elif block < end2:
        _gather_block(total2, gradient2, rows, block - end1, count, 3, FIRST, BLOCK)
    elif block < end3:
        _gather_block(total3, gradient3, rows, block - end2, count, 1, FIRST, BLOCK)
    elif block < end4:
        _gather_block(total4, gradient4, rows, block - end3, count, SH, FIRST, BLOCK)
    else:
        at = (block - end4) * BLOCK + tl.arange(0, BLOCK)
        shown = tl.load(rows + at, mask=at < count, other=0).to(tl.float32)
        if not FIRST:
            shown += tl.load(times_seen + at, mask=at < count, other=0.0)
        tl.store(times_seen + at, shown, mask=at < count)
