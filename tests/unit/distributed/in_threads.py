"""An exchange of replicas that are threads of one process."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Barrier, BrokenBarrierError
from typing import TypeVar

import torch
from torch import Tensor

from splat_trainer.distributed.exchange import Exchange, PeerLost
from splat_trainer.distributed.replicas import fingerprint
from splat_trainer.gaussians.gaussians import Gaussians
from splat_trainer.optimize.gathered import Gathered, floats_for

Result = TypeVar("Result")


class _Shared:
    def __init__(self, size: int) -> None:
        self.barrier = Barrier(size)
        self.slots: list[list[Tensor]] = [[] for _ in range(size)]


class InThreads:
    """See `Exchange`; sums are made in the order of the ranks, so that all get the same bits."""

    def __init__(self, shared: _Shared, rank: int, size: int, *, narrow: bool) -> None:
        self._shared = shared
        self.rank = rank
        self.size = size
        self.narrow = narrow

    def _all(self, own: Sequence[Tensor]) -> list[list[Tensor]]:
        try:
            self._shared.slots[self.rank] = [tensor.detach().clone() for tensor in own]
            self._shared.barrier.wait()
            everything = [list(slot) for slot in self._shared.slots]
            self._shared.barrier.wait()
        except BrokenBarrierError as error:
            raise PeerLost("another thread has failed") from error
        return everything

    def memory(self, floats: int, most: int) -> Tensor:
        return torch.full((max(floats, most),), torch.nan)

    @contextmanager
    def sums_of_all(self, gathered: Gathered) -> Iterator[Gathered]:
        shapes = gathered.shapes
        total = Gathered(torch.empty(floats_for(shapes)), shapes)
        everything = self._all(gathered.parts)
        with torch.no_grad():
            for part, parts in zip(total.parts, zip(*everything, strict=True), strict=True):
                part.copy_(torch.stack([one.float() for one in parts]).sum(0))
        yield total

    @torch.no_grad()
    def add_up(self, sums: Sequence[Tensor]) -> None:
        everything = self._all(sums)
        for tensor, parts in zip(sums, zip(*everything, strict=True), strict=True):
            tensor.copy_(torch.stack(parts).sum(0))

    @torch.no_grad()
    def take_from_first(self, tensors: Sequence[Tensor]) -> None:
        for tensor, one in zip(tensors, self._all(tensors)[0], strict=True):
            tensor.copy_(one)

    def compare(self, gaussians: Gaussians, step: int) -> None:
        prints = self._all([fingerprint(gaussians)])
        assert all(torch.equal(one[0], prints[0][0]) for one in prints), step

    def stops(self, step: int, *, wanted: bool) -> bool:
        return wanted

    def abort(self) -> None:
        self._shared.barrier.abort()


def in_threads(
    size: int, work: Callable[[Exchange], Result], *, narrow: bool = False
) -> list[Result]:
    """Do the same work as each of `size` ranks, and give all results.

    `narrow` is what they gather where GPUs would read each other's memory.
    """
    shared = _Shared(size)

    def one(rank: int) -> Result:
        exchange = InThreads(shared, rank, size, narrow=narrow)
        try:
            return work(exchange)
        except BaseException:
            exchange.abort()
            raise

    with ThreadPoolExecutor(size) as pool:
        futures = [pool.submit(one, rank) for rank in range(size)]
    failures = [failure for future in futures if (failure := future.exception())]
    for failure in sorted(failures, key=lambda one: isinstance(one, PeerLost)):
        raise failure
    return [future.result() for future in futures]
