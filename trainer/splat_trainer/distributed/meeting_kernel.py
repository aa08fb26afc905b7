"""A kernel in Triton in which GPUs of one machine wait for each other."""
# ruff: noqa: ANN001, ANN202, N803 - Triton compiles the kernels: pointers and numbers, by name
# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-decorators

import torch
import triton
import triton.language as tl
from torch import Tensor

MOST = 32
"""GPUs that one machine may have: the threads of a warp that meet, each another rank's word."""


def meet(flags: Tensor, rank: int, size: int, times: int) -> None:
    """Have the device wait until all ranks' devices are here for the `times`-th time.

    `flags` [size] int64 are the addresses of each rank's own int32 [size], zero at first, in
    which the others count how often they were here.
    """
    _meet[(1,)](flags, rank, size, times, MOST=MOST, num_warps=1)


def launch_all_variants() -> None:
    """Launch the kernel on the CPU's memory: to compile it without a GPU."""
    meet(torch.zeros(1, dtype=torch.int64), 0, 1, 1)


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
