"""Ranks whose GPUs read what each of them has gathered."""

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeAlias

import torch
import torch.distributed as dist
from torch import Tensor

from splat_trainer.distributed.cuda_ipc import TOLD_BYTES, Opened, told
from splat_trainer.kernels.self_check import DisagreementError, agree
from splat_trainer.optimize.gathered import (
    Gathered,
    check_fused,
    floats_for,
    gather,
    gather_for,
    gradient_shapes,
)
from splat_trainer.optimize.scattered import Scattered, scattered_step_for

_log = logging.getLogger(__name__)

Meet: TypeAlias = Callable[[Tensor, int, int, int], None]
"""See `meeting_kernel.meet`."""

_NCCL_OFF = "NCCL_P2P_DISABLE"
"""Set by who knows that GPUs of this machine cannot read each other, or get it wrong."""

_ROOM = 1.25
"""How much more memory than is wanted now, where it is not known how much will be."""


class _Shared:
    """A tensor of this rank's, and where this rank's device finds those of all."""

    def __init__(self, own: Tensor, rank: int, size: int) -> None:
        """Open the others'; all ranks do this at once.

        Raises:
            RuntimeError: one of the ranks could not; all of them raise it.
        """
        self.own = own
        self._opened: list[Opened] = []
        addresses, why = [own.data_ptr()] * size, ""
        try:
            what = told(own)
        except RuntimeError as error:
            what, why = bytes(TOLD_BYTES), str(error)
        for number, theirs in enumerate(_tell(what, size, own.device)):
            if number != rank and not why:
                try:
                    self._opened.append(Opened(theirs, own.device))
                    addresses[number] = self._opened[-1].address
                except RuntimeError as error:
                    why = str(error)
        if not _all_agree(not why, own.device):
            self.close()
            raise RuntimeError(why or "another GPU cannot read the memory of all others")
        self.addresses = torch.tensor(addresses, device=own.device)

    def close(self) -> None:
        """Let go of the others' memory, which nobody frees before all ranks have done this."""
        torch.cuda.synchronize(self.own.device)
        dist.barrier()
        for one in self._opened:
            one.close()
        self._opened = []
        dist.barrier()


class Peers:
    """See `Exchange.memory` and `Exchange.sums_of_all`; all ranks call each method at once.

    Nothing here makes the host wait, but for new memory.
    """

    def __init__(self, meet: Meet, rank: int, size: int, device: torch.device) -> None:
        """Open the words that ranks meet by.

        Raises:
            RuntimeError: this machine's GPUs cannot read each other's memory.
        """
        self._meet_by = meet
        self._rank = rank
        self._size = size
        self._device = device
        self._times = 0
        words = torch.zeros(size, dtype=torch.int32, device=device)
        self._words = _Shared(words, rank, size)
        self._memory: _Shared | None = None

    def memory(self, floats: int, most: int) -> Tensor:
        """See `Exchange`."""
        if self._memory is None or len(self._memory.own) < floats:
            if self._memory is not None:
                self._memory.close()
                self._memory = None
            own = torch.empty(max(floats, most or int(floats * _ROOM)), device=self._device)
            self._memory = _Shared(own, self._rank, self._size)
        return self._memory.own

    @contextmanager
    def sums_of_all(self, gathered: Gathered) -> Iterator[Scattered]:
        """See `Exchange`."""
        if self._memory is None:
            raise RuntimeError("nothing was gathered in memory that the others can read")
        self._meet()  # all have gathered what they will
        yield Scattered(self._memory.addresses, gathered)
        self._meet()  # all have read it

    def _meet(self) -> None:
        self._times += 1
        self._meet_by(self._words.addresses, self._rank, self._size, self._times)


def peers_if_right(rank: int, size: int, device: torch.device) -> Peers | None:
    """Peers of whose sums it was seen that they are right; None where GPUs cannot have them.

    Memory of another GPU can be read wrongly where the machine's IOMMU is in between, so it is
    tried. All ranks call this at once.
    """
    if os.environ.get(_NCCL_OFF, "0") not in ("", "0"):
        if rank == 0:
            _log.info("%s is set: GPUs exchange by NCCL", _NCCL_OFF)
        return None
    why = ""
    meet: Meet | None = None
    try:
        meet = meet_if_kernels_work(size, device)
    except Exception as error:  # Triton may fail in any way
        why = str(error)
    # A rank that fails alone must not leave the others waiting for it in a kernel.
    if _all_agree(meet is not None, device) and meet is not None:
        try:
            peers = Peers(meet, rank, size, device)
            check_sums(peers, rank, device)
        except (RuntimeError, DisagreementError) as error:
            why = str(error)
        if _all_agree(not why, device):
            if rank == 0:
                _log.info("each GPU reads the others' memory")
            return peers
    if rank == 0:
        lines = why.strip().splitlines() or ["another rank failed"]
        _log.warning("GPUs do not read each other's memory (%s): they exchange by NCCL", lines[0])
    return None


def check_sums(peers: Peers, rank: int, device: torch.device, count: int = 3_333) -> None:
    """Compare the sums of random gradients with those of an all-reduce, twice.

    Raises:
        DisagreementError: they differ.
    """
    shapes = gradient_shapes(count, 3)
    generator = torch.Generator().manual_seed(rank)
    found, wanted = [], []
    for _ in range(2):
        memory = peers.memory(floats_for(shapes, narrow=True), 0)
        gathered = Gathered(memory, shapes, narrow=True)
        gradients = [torch.randn(shape, generator=generator).to(device) for shape in shapes]
        rows = (torch.rand(count, generator=generator) < 0.5).to(device)
        gather(gathered, gradients, rows, first=True)
        right = [one.to(torch.float32, copy=True) for one in gathered.parts]
        with peers.sums_of_all(gathered) as sums:
            found += sums.whole().parts
        for one in right:
            dist.all_reduce(one)
        wanted += right
    agree(found, wanted, relative=1e-6)


def meet_if_kernels_work(size: int, device: torch.device) -> Meet:
    """The kernel in which so many ranks meet, once it did work, and those that gather and read.

    This rank meets nobody but itself in it, and reads nobody else.

    Raises:
        RuntimeError, DisagreementError, and what Triton raises: they do not work here.
    """
    from splat_trainer.distributed.meeting_kernel import MOST, meet  # noqa: PLC0415 - Triton

    if size > MOST:
        raise RuntimeError(f"there are more than {MOST} GPUs")
    if scattered_step_for(device) is None:
        raise RuntimeError("the kernels that would do so are not used here")
    gather_here = gather_for(device)
    if gather_here is not gather:
        check_fused(gather_here, narrow=True)
    word = torch.zeros(1, dtype=torch.int32, device=device)
    meet(torch.tensor([word.data_ptr()], device=device), 0, 1, 1)
    torch.cuda.synchronize(device)
    return meet


def _tell(what: bytes, size: int, device: torch.device) -> Sequence[bytes]:
    own = torch.tensor(list(what), dtype=torch.uint8, device=device)
    everyones = [torch.empty_like(own) for _ in range(size)]
    dist.all_gather(everyones, own)
    return [bytes(one.tolist()) for one in everyones]


def _all_agree(yes: bool, device: torch.device) -> bool:
    word = torch.tensor(int(yes), device=device)
    dist.all_reduce(word, op=dist.ReduceOp.MIN)
    return bool(word)
