"""Kernels in Triton by which GPUs of one machine read what each of them has gathered.

Every rank sums the same numbers in the same order, so all get the same bits. Of another GPU's
memory only those rows cross the link that it has seen: about half of them, where an all-reduce
moves all.
"""
# ruff: noqa: ANN001, ANN202, N803 - Triton compiles the kernels: pointers and numbers, by name
# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-decorators

import torch
import triton
import triton.language as tl
from torch import Tensor

from splat_trainer.optimize.gathered import Gathered, floats_for, gradient_shapes

MOST = 32
"""GPUs that one machine may have: the threads of a warp that meet, each another rank's word."""

_BLOCK = 1024

_SIZES = (2, 4, 8)
"""How many GPUs kernels are compiled for before they are wanted; for others a run compiles."""


def meet(flags: Tensor, rank: int, size: int, times: int) -> None:
    """Have the device wait until all ranks' devices are here for the `times`-th time.

    `flags` [size] int64 are the addresses of each rank's own int32 [size], zero at first, in
    which the others count how often they were here.
    """
    _meet[(1,)](flags, rank, size, times, MOST=MOST, num_warps=1)


def total_of(addresses: Tensor, size: int, total: Gathered) -> None:
    """Write into `total` the sums of what lies at `addresses` [size] int64, laid out like it."""
    count = len(total.times_seen)
    sh_width = total.gradients[4].shape[1] * 3
    ends, end = [], 0
    for width in (3, 4, 3, 1, sh_width, 1):
        end += triton.cdiv(count * width, _BLOCK)
        ends.append(end)
    _total[(end,)](
        addresses, total.flat, *total.places[1:], *ends[:5], count,
        SIZE=size, SH=sh_width, BLOCK=_BLOCK,
    )  # fmt: skip


def launch_all_variants() -> None:
    """Launch each kernel that trainings use, on the CPU's memory: to compile without a GPU."""
    addresses = torch.zeros(1, dtype=torch.int64)
    meet(addresses, 0, 1, 1)
    for degree in (3, 2, 1, 0):
        shapes = gradient_shapes(1, degree)
        for size in _SIZES:
            total_of(addresses, size, Gathered(torch.zeros(floats_for(shapes)), shapes))


@triton.jit(do_not_specialize=["rank", "size", "times"])
def _meet(flags, rank, size, times, MOST: tl.constexpr):
    """Tell every rank, itself too, that this one is here; go on when all have told this one."""
    peers = tl.arange(0, MOST)
    there = peers < size
    addresses = tl.load(flags + peers, mask=there, other=0)
    word = addresses.to(tl.pointer_type(tl.int32)) + rank
    tl.atomic_xchg(word, tl.zeros([MOST], tl.int32) + times, mask=there, sem="release", scope="sys")
    own = tl.load(flags + rank).to(tl.pointer_type(tl.int32))
    missing = size
    while missing > 0:
        nothing = tl.zeros([MOST], tl.int32)
        heard = tl.atomic_add(own + peers, nothing, mask=there, sem="acquire", scope="sys")
        missing = tl.sum((there & (heard < times)).to(tl.int32))


@triton.jit
def _total_block(
    addresses, total, place, times_place, block, count,
    SIZE: tl.constexpr, WIDTH: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Sum the `block`-th BLOCK numbers of one parameter, of WIDTH numbers a row, over all ranks."""
    at = block.to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = at < count.to(tl.int64) * WIDTH
    value = tl.zeros([BLOCK], tl.float32)
    for rank in tl.static_range(SIZE):  # unrolled: the ranks' memory is read at once
        theirs = tl.load(addresses + rank).to(tl.pointer_type(tl.float32))
        seen = tl.load(theirs + times_place + at // WIDTH, mask=inside, other=0.0) > 0
        value += tl.load(theirs + place + at, mask=inside & seen, other=0.0)
    tl.store(total + place + at, value, mask=inside)


@triton.jit(
    do_not_specialize=[
        "place1", "place2", "place3", "place4", "place5",
        "end0", "end1", "end2", "end3", "end4", "count",
    ]
)  # fmt: skip
def _total(
    addresses, total, place1, place2, place3, place4, place5,
    end0, end1, end2, end3, end4, count, SIZE: tl.constexpr, SH: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Each program sums one block of one parameter, or of the counts, which are the last part."""
    block = tl.program_id(0)
    times = place5.to(tl.int64)
    if block < end0:
        _total_block(addresses, total, times * 0, times, block, count, SIZE, 3, BLOCK)
    elif block < end1:
        _total_block(addresses, total, place1.to(tl.int64), times, block - end0, count,
                     SIZE, 4, BLOCK)  # fmt: skip
    elif block < end2:
        _total_block(addresses, total, place2.to(tl.int64), times, block - end1, count,
                     SIZE, 3, BLOCK)  # fmt: skip
    elif block < end3:
        _total_block(addresses, total, place3.to(tl.int64), times, block - end2, count,
                     SIZE, 1, BLOCK)  # fmt: skip
    elif block < end4:
        _total_block(addresses, total, place4.to(tl.int64), times, block - end3, count,
                     SIZE, SH, BLOCK)  # fmt: skip
    else:
        _total_block(addresses, total, times, times, block - end4, count, SIZE, 1, BLOCK)
