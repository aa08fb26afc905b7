"""Kernels in Triton that add up what several GPUs have gathered as they read it.

Their twins in plain PyTorch are in `scattered.py`.
"""
# ruff: noqa: ANN001, ANN202, N803 - Triton compiles the kernels: pointers and numbers, by name
# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-decorators

from collections.abc import Sequence

import torch
import triton
import triton.language as tl
from torch import Tensor

from splat_trainer.optimize.adam_kernel import adam_move
from splat_trainer.optimize.adam_step import RATES
from splat_trainer.optimize.gathered import PART, Gathered, floats_for, gradient_shapes
from splat_trainer.optimize.scattered import Scattered

_BLOCK = 512
_ROWS = 1024
_PART = tl.constexpr(PART)

_RANKS = (2, 4, 8)
"""How many GPUs kernels are compiled for before they are wanted; for others a run compiles."""


def step_scattered(
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
    """See `scattered.ScatteredStep`."""
    count = len(leaves[0])
    sh_width = leaves[4].shape[1] * 3
    *ends, last = _ends(count, (3, 4, 3, 1, sh_width))
    together = zip(leaves, first, second, strict=True)
    _, *parts, _ = _parts(gradients.own)
    _step[(last,)](
        *(tensor for three in together for tensor in three),
        gradients.addresses, _seen_by(gradients), *parts, rates,
        *ends, count, betas[1], 1 - betas[0], 1 - betas[1], epsilon,
        RANKS=len(gradients.addresses), SH=sh_width, VISIBLE=visible_only, BLOCK=_BLOCK,
    )  # fmt: skip


def sum_up(gradients: Scattered, total: Gathered) -> None:
    """Write the sums of all ranks into `total`, which is of their shapes and not narrow."""
    count = len(total.times_seen)
    sh_width = total.gradients[4].shape[1] * 3
    *ends, last = _ends(count, (3, 4, 3, 1, sh_width, 1))
    _, *parts = _parts(gradients.own)
    _sum_up[(last,)](
        gradients.addresses, _seen_by(gradients), *total.parts, *parts, *ends, count,
        RANKS=len(gradients.addresses), SH=sh_width, BLOCK=_BLOCK,
    )  # fmt: skip


def launch_all_variants() -> None:
    """Launch what is mostly wanted, on the CPU's memory: to compile it without a GPU."""
    shapes = gradient_shapes(1, 3)
    own = Gathered(torch.zeros(floats_for(shapes, narrow=True)), shapes, narrow=True)
    total = Gathered(torch.zeros(floats_for(shapes)), shapes)
    for ranks in _RANKS:
        scattered = Scattered(torch.zeros(ranks, dtype=torch.int64), own)
        sum_up(scattered, total)
        for visible_only in (False, True):
            state = [[torch.zeros(shape) for shape in shapes] for _ in range(3)]
            step_scattered(
                *(state[0], scattered, state[1], state[2], torch.ones(RATES)),
                betas=(0.9, 0.999),
                epsilon=1e-15,
                visible_only=visible_only,
            )


def _ends(count: int, widths: Sequence[int]) -> list[int]:
    """After which program those of each parameter end."""
    ends, end = [], 0
    for width in widths:
        end += triton.cdiv(count * width, _BLOCK)
        ends.append(end)
    return ends


def _parts(gathered: Gathered) -> list[int]:
    """Where each part begins, in so many floats that a kernel knows that 16 bytes begin there."""
    return [place // PART for place in gathered.places]


def _seen_by(gradients: Scattered) -> Tensor:
    """Which ranks have seen each row, [N] int32, a bit each.

    On this device, before the gradients are asked for: to ask each rank which of its rows are
    worth reading, and only then for them, is to wait for the link twice.
    """
    count = len(gradients.own.times_seen)
    seen_by = torch.empty(count, dtype=torch.int32, device=gradients.addresses.device)
    _note_seen[(triton.cdiv(count, _ROWS),)](
        gradients.addresses, _parts(gradients.own)[-1], seen_by, count,
        RANKS=len(gradients.addresses), BLOCK=_ROWS,
    )  # fmt: skip
    return seen_by


@triton.jit
def _rank_part(addresses, rank, part):
    """Where a part of a rank's memory begins, of which it is known that 16 bytes do."""
    theirs = tl.load(addresses + rank).to(tl.pointer_type(tl.float32))
    return tl.multiple_of(theirs + part.to(tl.int64) * _PART, 16)


@triton.jit(do_not_specialize=["part", "count"])
def _note_seen(addresses, part, seen_by, count, RANKS: tl.constexpr, BLOCK: tl.constexpr):
    """See `_seen_by`."""
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = at < count
    bits = tl.zeros([BLOCK], tl.int32)
    for rank in tl.static_range(RANKS):
        times = tl.load(_rank_part(addresses, rank, part) + at, mask=inside, other=0.0)
        bits = bits | ((times > 0).to(tl.int32) << rank)
    tl.store(seen_by + at, bits, mask=inside)


@triton.jit
def _of_all_ranks(
    addresses, part, bits, at, inside,
    RANKS: tl.constexpr, NARROW: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Sums of the numbers `at` of a part, of those ranks that the `bits` name."""
    value = tl.zeros([BLOCK], tl.float32)
    for rank in tl.static_range(RANKS):  # unrolled: the ranks' memory is read at once
        theirs = _rank_part(addresses, rank, part)
        if NARROW:
            theirs = theirs.to(tl.pointer_type(tl.bfloat16))
        there = inside & (((bits >> rank) & 1) != 0)
        value += tl.load(theirs + at, mask=there, other=0.0).to(tl.float32)
    return value


@triton.jit
def _step_block(
    leaf, first, second, addresses, part, seen_by, rate, rest_rate, shares, block, count,
    beta2, share1, share2, epsilon,
    RANKS: tl.constexpr, WIDTH: tl.constexpr, HEAD: tl.constexpr, NARROW: tl.constexpr,
    VISIBLE: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """See `adam_kernel._step_block`."""
    at = block.to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = at < count.to(tl.int64) * WIDTH
    bits = tl.load(seen_by + at // WIDTH, mask=inside, other=0)
    slope = _of_all_ranks(addresses, part, bits, at, inside, RANKS, NARROW, BLOCK)
    if VISIBLE:
        inside = inside & (bits != 0)
    adam_move(
        leaf, slope, first, second, rate, rest_rate, shares, at, inside,
        beta2, share1, share2, epsilon, WIDTH, HEAD,
    )  # fmt: skip


@triton.jit(
    do_not_specialize=[
        "part1", "part2", "part3", "part4", "end0", "end1", "end2", "end3", "count",
    ]
)  # fmt: skip
def _step(
    leaf0, first0, second0, leaf1, first1, second1, leaf2, first2, second2,
    leaf3, first3, second3, leaf4, first4, second4,
    addresses, seen_by, part1, part2, part3, part4,
    rates, end0, end1, end2, end3, count, beta2, share1, share2, epsilon,
    RANKS: tl.constexpr, SH: tl.constexpr, VISIBLE: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Each program steps one block of one parameter; `rates` are those of `adam_step`."""
    block = tl.program_id(0)
    shares = rates + 6
    if block < end0:
        _step_block(leaf0, first0, second0, addresses, part1 * 0, seen_by, rates, rates, shares,
                    block, count, beta2, share1, share2, epsilon,
                    RANKS, 3, 3, False, VISIBLE, BLOCK)  # fmt: skip
    elif block < end1:
        _step_block(leaf1, first1, second1, addresses, part1, seen_by, rates + 1, rates, shares,
                    block - end0, count, beta2, share1, share2, epsilon,
                    RANKS, 4, 4, False, VISIBLE, BLOCK)  # fmt: skip
    elif block < end2:
        _step_block(leaf2, first2, second2, addresses, part2, seen_by, rates + 2, rates, shares,
                    block - end1, count, beta2, share1, share2, epsilon,
                    RANKS, 3, 3, False, VISIBLE, BLOCK)  # fmt: skip
    elif block < end3:
        _step_block(leaf3, first3, second3, addresses, part3, seen_by, rates + 3, rates, shares,
                    block - end2, count, beta2, share1, share2, epsilon,
                    RANKS, 1, 1, False, VISIBLE, BLOCK)  # fmt: skip
    else:
        _step_block(leaf4, first4, second4, addresses, part4, seen_by, rates + 4, rates + 5,
                    shares, block - end3, count, beta2, share1, share2, epsilon,
                    RANKS, SH, 3, True, VISIBLE, BLOCK)  # fmt: skip


@triton.jit
def _sum_block(
    addresses, part, seen_by, total, block, count,
    RANKS: tl.constexpr, WIDTH: tl.constexpr, NARROW: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    at = block.to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = at < count.to(tl.int64) * WIDTH
    bits = tl.load(seen_by + at // WIDTH, mask=inside, other=0)
    value = _of_all_ranks(addresses, part, bits, at, inside, RANKS, NARROW, BLOCK)
    tl.store(total + at, value, mask=inside)


@triton.jit(
    do_not_specialize=[
        "part1", "part2", "part3", "part4", "part5",
        "end0", "end1", "end2", "end3", "end4", "count",
    ]
)  # fmt: skip
def _sum_up(
    addresses, seen_by, total0, total1, total2, total3, total4, total5,
    part1, part2, part3, part4, part5, end0, end1, end2, end3, end4, count,
    RANKS: tl.constexpr, SH: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Each program sums one block of one parameter, or of the counts, which are the last part."""
    block = tl.program_id(0)
    if block < end0:
        _sum_block(addresses, part1 * 0, seen_by, total0, block, count, RANKS, 3, False, BLOCK)
    elif block < end1:
        _sum_block(addresses, part1, seen_by, total1, block - end0, count, RANKS, 4, False, BLOCK)
    elif block < end2:
        _sum_block(addresses, part2, seen_by, total2, block - end1, count, RANKS, 3, False, BLOCK)
    elif block < end3:
        _sum_block(addresses, part3, seen_by, total3, block - end2, count, RANKS, 1, False, BLOCK)
    elif block < end4:
        _sum_block(addresses, part4, seen_by, total4, block - end3, count, RANKS, SH, True, BLOCK)
    else:
        _sum_block(addresses, part5, seen_by, total5, block - end4, count, RANKS, 1, False, BLOCK)
