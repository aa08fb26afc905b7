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
from splat_trainer.optimize.gathered import Gathered, floats_for, gradient_shapes
from splat_trainer.optimize.scattered import Scattered

_BLOCK = 512

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
    _step[(last,)](
        *(tensor for three in together for tensor in three),
        gradients.addresses, *gradients.own.places[1:], rates,
        *ends, count, betas[1], 1 - betas[0], 1 - betas[1], epsilon,
        RANKS=len(gradients.addresses), SH=sh_width, VISIBLE=visible_only, BLOCK=_BLOCK,
    )  # fmt: skip


def sum_up(gradients: Scattered, total: Gathered) -> None:
    """Write the sums of all ranks into `total`, which is laid out like theirs."""
    count = len(total.times_seen)
    sh_width = total.gradients[4].shape[1] * 3
    *ends, last = _ends(count, (3, 4, 3, 1, sh_width, 1))
    _sum_up[(last,)](
        gradients.addresses, total.flat, *total.places[1:], *ends, count,
        RANKS=len(gradients.addresses), SH=sh_width, BLOCK=_BLOCK,
    )  # fmt: skip


def launch_all_variants() -> None:
    """Launch what is mostly wanted, on the CPU's memory: to compile it without a GPU."""
    shapes = gradient_shapes(1, 3)
    own = Gathered(torch.zeros(floats_for(shapes)), shapes)
    for ranks in _RANKS:
        scattered = Scattered(torch.zeros(ranks, dtype=torch.int64), own)
        sum_up(scattered, own)
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


@triton.jit
def _of_all_ranks(
    addresses, place, times_place, at, inside,
    RANKS: tl.constexpr, WIDTH: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Sums of the numbers `at` of a parameter of WIDTH a row, and whether any rank saw the row."""
    value = tl.zeros([BLOCK], tl.float32)
    times = tl.zeros([BLOCK], tl.float32)
    for rank in tl.static_range(RANKS):  # unrolled: the ranks' memory is read at once
        theirs = tl.load(addresses + rank).to(tl.pointer_type(tl.float32))
        seen = tl.load(theirs + times_place + at // WIDTH, mask=inside, other=0.0)
        value += tl.load(theirs + place + at, mask=inside & (seen > 0), other=0.0)
        times += seen
    return value, times > 0


@triton.jit
def _step_block(
    leaf, first, second, addresses, place, times_place, rate, rest_rate, shares, block, count,
    beta2, share1, share2, epsilon,
    RANKS: tl.constexpr, WIDTH: tl.constexpr, HEAD: tl.constexpr, VISIBLE: tl.constexpr,
    BLOCK: tl.constexpr,
):  # fmt: skip
    """See `adam_kernel._step_block`."""
    at = block.to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = at < count.to(tl.int64) * WIDTH
    slope, seen = _of_all_ranks(
        addresses, place.to(tl.int64), times_place.to(tl.int64), at, inside, RANKS, WIDTH, BLOCK
    )
    if VISIBLE:
        inside = inside & seen
    adam_move(
        leaf, slope, first, second, rate, rest_rate, shares, at, inside,
        beta2, share1, share2, epsilon, WIDTH, HEAD,
    )  # fmt: skip


@triton.jit(
    do_not_specialize=[
        "place1", "place2", "place3", "place4", "place5", "end0", "end1", "end2", "end3", "count",
    ]
)  # fmt: skip
def _step(
    leaf0, first0, second0, leaf1, first1, second1, leaf2, first2, second2,
    leaf3, first3, second3, leaf4, first4, second4,
    addresses, place1, place2, place3, place4, place5,
    rates, end0, end1, end2, end3, count, beta2, share1, share2, epsilon,
    RANKS: tl.constexpr, SH: tl.constexpr, VISIBLE: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Each program steps one block of one parameter; `rates` are those of `adam_step`."""
    block = tl.program_id(0)
    shares = rates + 6
    if block < end0:
        _step_block(leaf0, first0, second0, addresses, place5 * 0, place5, rates, rates, shares,
                    block, count, beta2, share1, share2, epsilon,
                    RANKS, 3, 3, VISIBLE, BLOCK)  # fmt: skip
    elif block < end1:
        _step_block(leaf1, first1, second1, addresses, place1, place5, rates + 1, rates, shares,
                    block - end0, count, beta2, share1, share2, epsilon,
                    RANKS, 4, 4, VISIBLE, BLOCK)  # fmt: skip
    elif block < end2:
        _step_block(leaf2, first2, second2, addresses, place2, place5, rates + 2, rates, shares,
                    block - end1, count, beta2, share1, share2, epsilon,
                    RANKS, 3, 3, VISIBLE, BLOCK)  # fmt: skip
    elif block < end3:
        _step_block(leaf3, first3, second3, addresses, place3, place5, rates + 3, rates, shares,
                    block - end2, count, beta2, share1, share2, epsilon,
                    RANKS, 1, 1, VISIBLE, BLOCK)  # fmt: skip
    else:
        _step_block(leaf4, first4, second4, addresses, place4, place5, rates + 4, rates + 5,
                    shares, block - end3, count, beta2, share1, share2, epsilon,
                    RANKS, SH, 3, VISIBLE, BLOCK)  # fmt: skip


@triton.jit
def _sum_block(
    addresses, total, place, times_place, block, count,
    RANKS: tl.constexpr, WIDTH: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    at = block.to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = at < count.to(tl.int64) * WIDTH
    place = place.to(tl.int64)
    value, _ = _of_all_ranks(
        addresses, place, times_place.to(tl.int64), at, inside, RANKS, WIDTH, BLOCK
    )
    tl.store(total + place + at, value, mask=inside)


@triton.jit(
    do_not_specialize=[
        "place1", "place2", "place3", "place4", "place5",
        "end0", "end1", "end2", "end3", "end4", "count",
    ]
)  # fmt: skip
def _sum_up(
    addresses, total, place1, place2, place3, place4, place5,
    end0, end1, end2, end3, end4, count,
    RANKS: tl.constexpr, SH: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Each program sums one block of one parameter, or of the counts, which are the last part."""
    block = tl.program_id(0)
    if block < end0:
        _sum_block(addresses, total, place5 * 0, place5, block, count, RANKS, 3, BLOCK)
    elif block < end1:
        _sum_block(addresses, total, place1, place5, block - end0, count, RANKS, 4, BLOCK)
    elif block < end2:
        _sum_block(addresses, total, place2, place5, block - end1, count, RANKS, 3, BLOCK)
    elif block < end3:
        _sum_block(addresses, total, place3, place5, block - end2, count, RANKS, 1, BLOCK)
    elif block < end4:
        _sum_block(addresses, total, place4, place5, block - end3, count, RANKS, SH, BLOCK)
    else:
        _sum_block(addresses, total, place5, place5, block - end4, count, RANKS, 1, BLOCK)
