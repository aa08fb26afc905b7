"""One step of Adam over all parameters of a splat, in one Triton kernel.

Its twin in plain PyTorch is `adam_step.step_all`. What depends on the step's number is read from
the device, so that a step can be recorded once as a CUDA graph and replayed.
"""
# ruff: noqa: ANN001, ANN201, ANN202, N803 - Triton compiles the kernels: pointers and numbers, by name
# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-decorators

from collections.abc import Sequence

import torch
import triton
import triton.language as tl
from torch import Tensor

from splat_trainer.optimize.adam_step import RATES

_BLOCK = 512


def fused_step_all(
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
    """See `adam_step.AdamStep`."""
    count = len(leaves[0])
    sh_width = leaves[4].shape[1] * 3
    ends, end = [], 0
    for width in (3, 4, 3, 1, sh_width):
        end += triton.cdiv(count * width, _BLOCK)
        ends.append(end)
    together = zip(leaves, gradients, first, second, strict=True)
    _adam[(end,)](
        *(tensor for four in together for tensor in four),
        rates, rates if visible is None else visible.view(torch.uint8),
        *ends[:4], count, betas[1], 1 - betas[0], 1 - betas[1], epsilon,
        SH=sh_width, VISIBLE=visible is not None, BLOCK=_BLOCK,
    )  # fmt: skip


def launch_all_variants() -> None:
    """Launch, on the CPU's memory, each kernel that trainings use: to compile them without a GPU.

    A kernel is compiled for the degree of the spherical harmonics and for whether all rows step;
    nothing else in a launch makes another one.
    """
    for degree in (3, 2, 1, 0):
        shapes = [(1, 3), (1, 4), (1, 3), (1,), (1, (degree + 1) ** 2, 3)]
        for visible in (None, torch.ones(1, dtype=torch.bool)):
            state = [[torch.zeros(shape) for shape in shapes] for _ in range(4)]
            fused_step_all(
                *(state[0], state[1], state[2], state[3], torch.ones(RATES)),
                betas=(0.9, 0.999),
                epsilon=1e-15,
                visible=visible,
            )


@triton.jit
def adam_move(
    leaf, slope, first, second, rate, rest_rate, shares, at, inside,
    beta2, share1, share2, epsilon, WIDTH: tl.constexpr, HEAD: tl.constexpr,
):  # fmt: skip
    """Step the numbers `at` of a parameter of WIDTH numbers a row, where they are `inside`.

    The first HEAD numbers of a row have the learning rate `rate`, the others `rest_rate`;
    `share1` and `share2` are 1 - beta1 and 1 - beta2, which float32 could not subtract.
    """
    mean = tl.load(first + at, mask=inside, other=0.0)
    square = tl.load(second + at, mask=inside, other=0.0)
    value = tl.load(leaf + at, mask=inside, other=0.0)
    mean = mean + share1 * (slope - mean)
    square = beta2 * square + share2 * slope * slope
    lr = tl.load(rate)
    if HEAD < WIDTH:
        lr = tl.where(at % WIDTH < HEAD, lr, tl.load(rest_rate))
    below = tl.sqrt(square) / tl.sqrt(tl.load(shares + 1)) + epsilon
    way = lr / tl.load(shares) * (mean / below)
    tl.store(first + at, mean, mask=inside)
    tl.store(second + at, square, mask=inside)
    tl.store(leaf + at, value - way, mask=inside)


@triton.jit
def _step_block(
    leaf, gradient, first, second, rate, rest_rate, shares, visible, block, count,
    beta2, share1, share2, epsilon,
    WIDTH: tl.constexpr, HEAD: tl.constexpr, VISIBLE: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Step the `block`-th BLOCK numbers of one parameter, of WIDTH numbers a row."""
    at = block.to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = at < count.to(tl.int64) * WIDTH
    if VISIBLE:
        inside = inside & (tl.load(visible + at // WIDTH, mask=inside, other=0) != 0)
    slope = tl.load(gradient + at, mask=inside, other=0.0)
    adam_move(
        leaf, slope, first, second, rate, rest_rate, shares, at, inside,
        beta2, share1, share2, epsilon, WIDTH, HEAD,
    )  # fmt: skip


@triton.jit(do_not_specialize=["end0", "end1", "end2", "end3", "count"])
def _adam(
    leaf0, gradient0, first0, second0, leaf1, gradient1, first1, second1,
    leaf2, gradient2, first2, second2, leaf3, gradient3, first3, second3,
    leaf4, gradient4, first4, second4,
    rates, visible, end0, end1, end2, end3, count, beta2, share1, share2, epsilon,
    SH: tl.constexpr, VISIBLE: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Each program steps one block of one parameter; `rates` are those of `adam_step`."""
    block = tl.program_id(0)
    shares = rates + 6
    if block < end0:
        _step_block(leaf0, gradient0, first0, second0, rates, rates, shares, visible,
                    block, count, beta2, share1, share2, epsilon,
                    3, 3, VISIBLE, BLOCK)  # fmt: skip
    elif block < end1:
        _step_block(leaf1, gradient1, first1, second1, rates + 1, rates, shares, visible,
                    block - end0, count, beta2, share1, share2, epsilon,
                    4, 4, VISIBLE, BLOCK)  # fmt: skip
    elif block < end2:
        _step_block(leaf2, gradient2, first2, second2, rates + 2, rates, shares, visible,
                    block - end1, count, beta2, share1, share2, epsilon,
                    3, 3, VISIBLE, BLOCK)  # fmt: skip
    elif block < end3:
        _step_block(leaf3, gradient3, first3, second3, rates + 3, rates, shares, visible,
                    block - end2, count, beta2, share1, share2, epsilon,
                    1, 1, VISIBLE, BLOCK)  # fmt: skip
    else:
        _step_block(leaf4, gradient4, first4, second4, rates + 4, rates + 5, shares, visible,
                    block - end3, count, beta2, share1, share2, epsilon,
                    SH, 3, VISIBLE, BLOCK)  # fmt: skip
