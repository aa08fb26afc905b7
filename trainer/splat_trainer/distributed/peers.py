"""Sums of what all ranks have gathered, by reading each other's GPU memory."""

import logging
import os
from collections.abc import Sequence
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from splat_trainer.distributed.cuda_ipc import TOLD_BYTES, Opened, told
from splat_trainer.kernels.own.fill import fill_for_this_gpu
from splat_trainer.kernels.self_check import DisagreementError, agree
from splat_trainer.optimize.gathered import Gathered, floats_for, gather, gradient_shapes

_log = logging.getLogger(__name__)

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
    """See `Exchange.memory` and `Exchange.total`; all ranks call each method at once.

    Nothing here makes the host wait, but for new memory.
    """

    def __init__(self, kernels: Any, rank: int, size: int, device: torch.device) -> None:
        """Open the words that ranks meet by; `kernels` is `peer_kernels`.

        Raises:
            RuntimeError: this machine's GPUs cannot read each other's memory.
        """
        self._kernels = kernels
        self._rank = rank
        self._size = size
        self._device = device
        self._times = 0
        words = torch.zeros(size, dtype=torch.int32, device=device)
        self._words = _Shared(words, rank, size)
        self._memory: _Shared | None = None
        self._total = torch.zeros(0, device=device)
        self._sums: Gathered | None = None  # in that

    def memory(self, floats: int, most: int) -> Tensor:
        """See `Exchange`."""
        if self._memory is None or len(self._memory.own) < floats:
            if self._memory is not None:
                self._memory.close()
                self._memory = None
            room = max(floats, most or int(floats * _ROOM))
            self._sums, self._total = None, torch.empty(0, device=self._device)
            self._total = torch.empty(room, device=self._device)
            own = torch.empty(room, device=self._device)
            self._memory = _Shared(own, self._rank, self._size)
        return self._memory.own

    def total(self, gathered: Gathered) -> Gathered:
        """See `Exchange`."""
        if self._memory is None:
            raise RuntimeError("nothing was gathered in memory that the others can read")
        if self._sums is None or self._sums.shapes != gathered.shapes:
            self._sums = Gathered(self._total, gathered.shapes)
        self._meet()  # all have gathered what they will
        self._kernels.total_of(self._memory.addresses, self._size, self._sums)
        self._meet()  # all have read it
        return self._sums

    def _meet(self) -> None:
        self._times += 1
        self._kernels.meet(self._words.addresses, self._rank, self._size, self._times)


def peers_if_right(rank: int, size: int, device: torch.device) -> Peers | None:
    """Peers of whose sums it was seen that they are right; None where GPUs cannot have them.

    Memory of another GPU can be read wrongly where the machine's IOMMU is in between, so it is
    tried. All ranks call this at once.
    """
    if os.environ.get(_NCCL_OFF, "0") not in ("", "0"):
        return None
    why = ""
    try:
        kernels = kernels_that_work(size, device)
    except Exception as error:  # Triton may fail in any way
        kernels, why = None, str(error)
    # A rank that fails alone must not leave the others waiting for it in a kernel.
    if _all_agree(not why, device):
        try:
            peers = Peers(kernels, rank, size, device)
            check_sums(peers, rank, device)
        except (RuntimeError, DisagreementError) as error:
            why = str(error)
        if _all_agree(not why, device):
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
        gathered = Gathered(peers.memory(floats_for(shapes), 0), shapes)
        gradients = [torch.randn(shape, generator=generator).to(device) for shape in shapes]
        rows = (torch.rand(count, generator=generator) < 0.5).to(device)
        gather(gathered, gradients, rows, first=True)
        right = [one.clone() for one in _parts(gathered)]
        found += [one.clone() for one in _parts(peers.total(gathered))]
        for one in right:
            dist.all_reduce(one)
        wanted += right
    agree(found, wanted, relative=1e-6)


def kernels_that_work(size: int, device: torch.device) -> Any:
    """The kernels for so many ranks, which have met and read nobody but this one.

    Raises:
        RuntimeError, DisagreementError and what Triton raises: they do not work here.
    """
    from splat_trainer.distributed import peer_kernels  # noqa: PLC0415 - Triton

    if size > peer_kernels.MOST:
        raise RuntimeError(f"there are more than {peer_kernels.MOST} GPUs")
    fill_for_this_gpu()
    shapes = gradient_shapes(333, 3)
    own = Gathered(torch.randn(floats_for(shapes), device=device), shapes)
    own.times_seen.fill_(1)
    word = torch.zeros(1, dtype=torch.int32, device=device)
    peer_kernels.meet(torch.tensor([word.data_ptr()], device=device), 0, 1, 1)
    total = Gathered(torch.zeros_like(own.flat), shapes)
    peer_kernels.total_of(torch.tensor([own.flat.data_ptr()] * size, device=device), size, total)
    agree(_parts(total), [one * size for one in _parts(own)], relative=1e-6)
    return peer_kernels


def _parts(gathered: Gathered) -> list[Tensor]:
    return [*gathered.gradients, gathered.times_seen]


def _tell(what: bytes, size: int, device: torch.device) -> Sequence[bytes]:
    own = torch.tensor(list(what), dtype=torch.uint8, device=device)
    everyones = [torch.empty_like(own) for _ in range(size)]
    dist.all_gather(everyones, own)
    return [bytes(one.tolist()) for one in everyones]


def _all_agree(yes: bool, device: torch.device) -> bool:
    word = torch.tensor(int(yes), device=device)
    dist.all_reduce(word, op=dist.ReduceOp.MIN)
    return bool(word)
