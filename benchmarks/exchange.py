"""A step of Adam by what several GPUs have gathered, as two GPUs play it: milliseconds.

    python -m benchmarks.exchange [--gaussians 700000] [--gpus 1 2 4 8] [--seen 0.5] [--repeat 20]

Of so many GPUs, each of the two reads what it has gathered itself and, as often as there are
others, what the other has: as much crosses its link as would. Both do so at once. Each has seen its
share of the Gaussians, `--seen`, in runs of 64, as Gaussians lie in Morton order. Medians over
steps between which the caches are emptied, by the slower GPU's own clock. With it, what a plain
copy reaches.
"""

import argparse
from collections.abc import Callable, Sequence
from itertools import product
from statistics import median

import torch
from torch import Tensor

from benchmarks.gpu_clock import GpuClock
from splat_trainer.optimize.adam_step import RATES
from splat_trainer.optimize.gathered import Gathered, floats_for, gradient_shapes
from splat_trainer.optimize.scattered import Scattered, check_fused
from splat_trainer.optimize.scattered_kernel import step_scattered

_GPUS = tuple(torch.device("cuda", number) for number in range(2))
_RUN = 64
_WARM_UP = 3
_HEAD_START = 200_000
"""Cycles that a GPU is kept busy for, so that both have their step before either begins."""
_CACHES = 256 << 20
"""Bytes, more than a GPU's caches hold."""

State = list[list[Tensor]]


def main() -> None:
    """Measure every number of GPUs in every way, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gaussians", type=int, default=700_000)
    parser.add_argument("--gpus", nargs="+", type=int, default=[1, 2, 4, 8])
    parser.add_argument("--seen", type=float, default=0.5)
    parser.add_argument("--repeat", type=int, default=20)
    arguments = parser.parse_args()
    if torch.cuda.device_count() < len(_GPUS):
        raise SystemExit("this takes two GPUs that can read each other's memory")
    check_fused(step_scattered, ranks=max(arguments.gpus))
    count, repeat = arguments.gaussians, arguments.repeat
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}; {count:,} Gaussians")
    print(f"a copy from GPU to GPU: {copy_rate(count * 240, repeat):.0f} GB/s\n")
    states = [state_on(device, count) for device in _GPUS]
    print("| GPUs | rows that step | ms |")
    print("|---|---|---|")
    for gpus, visible_only in product(arguments.gpus, (True, False)):
        steps = [
            step_of(state, one, visible_only=visible_only)
            for state, one in zip(states, scattered_over(gpus, count, arguments.seen), strict=True)
        ]
        rows = "in view" if visible_only else "all"
        print(f"| {gpus} | {rows} | {milliseconds(steps, repeat):.3f} |", flush=True)


def state_on(device: torch.device, count: int) -> State:
    """Parameters and both moments."""
    return [
        [torch.rand(shape, device=device) for shape in gradient_shapes(count, 3)] for _ in range(3)
    ]


def scattered_over(gpus: int, count: int, seen: float) -> list[Scattered]:
    """What each of both reads: its own first, then the other's for all others."""
    generator = torch.Generator().manual_seed(gpus)
    shapes = gradient_shapes(count, 3)
    held: list[list[Gathered]] = []
    for device in _GPUS:
        held.append([])
        for _ in range(max(1, gpus - 1)):
            memory = torch.zeros(floats_for(shapes, narrow=True), device=device)
            held[-1].append(Gathered(memory, shapes, narrow=True))
            runs = torch.rand(-(-count // _RUN), generator=generator) < seen
            held[-1][-1].times_seen.copy_(runs.repeat_interleave(_RUN)[:count])
    read = [[own[0], *other[: gpus - 1]] for own, other in zip(held, reversed(held), strict=True)]
    return [
        Scattered(torch.tensor([part.flat.data_ptr() for part in one], device=device), one[0])
        for device, one in zip(_GPUS, read, strict=True)
    ]


def step_of(state: State, scattered: Scattered, *, visible_only: bool) -> Callable[[], None]:
    """A step on the GPU that holds the state."""
    leaves, first, second = state
    rates = torch.full((RATES,), 0.01, device=leaves[0].device)

    def step() -> None:
        step_scattered(
            *(leaves, scattered, first, second, rates),
            betas=(0.9, 0.999),
            epsilon=1e-15,
            visible_only=visible_only,
        )

    return step


def milliseconds(works: Sequence[Callable[[], object]], repeat: int) -> float:
    """The median of what the slower of both GPUs takes, each for its work."""
    empty = [torch.empty(_CACHES // 4, device=device) for device in _GPUS]
    taken = []
    for _ in range(_WARM_UP + repeat):
        for one in empty:
            one.zero_()
        clocks = []
        for device, work in zip(_GPUS, works, strict=False):
            with torch.cuda.device(device):
                torch.cuda._sleep(_HEAD_START)  # type: ignore[no-untyped-call]
                with GpuClock() as clock:
                    work()
                clocks.append(clock)
        for device in _GPUS:
            torch.cuda.synchronize(device)
        taken.append(max(clock.milliseconds() for clock in clocks))
    return median(taken[_WARM_UP:])


def copy_rate(size: int, repeat: int) -> float:
    """GB/s one way; the first copy also lets either GPU read the other's memory."""
    here, there = (torch.empty(size // 4, device=device) for device in _GPUS)
    here.copy_(there)
    return size / milliseconds([lambda: there.copy_(here)], repeat) / 1e6


if __name__ == "__main__":
    main()
