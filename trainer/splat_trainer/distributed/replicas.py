"""Replicas of a splat that see another view each and step alike: NCCL on GPUs, gloo on the CPU."""

import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import timedelta
from typing import Protocol

import torch
import torch.distributed as dist
from torch import Tensor

from splat_trainer.contract import TrainerError
from splat_trainer.contract.result import Reason
from splat_trainer.distributed.exchange import PeerLost
from splat_trainer.distributed.peers import peers_if_right
from splat_trainer.distributed.rank import Rank
from splat_trainer.gaussians.gaussians import Gaussians
from splat_trainer.optimize.gathered import Gathered
from splat_trainer.optimize.scattered import Scattered

_LOOPBACK = {"GLOO_SOCKET_IFNAME": "lo", "NCCL_SOCKET_IFNAME": "lo"}
"""All ranks are on one machine: what they listen on is not to be reached from another."""

_PATIENCE = timedelta(minutes=30)
"""How long a rank waits for the others where all are alive: for an evaluation or a checkpoint of
rank 0. Whether they are alive is not its business: who started them sees to that."""


class Leash(Protocol):
    """Either end of `leash.py`."""

    def stops(self, step: int, *, wanted: bool) -> bool:
        """See `Exchange`."""


def join(rank: Rank) -> None:
    """Meet the other ranks of this machine.

    Raises:
        PeerLost: they did not come.
    """
    for name, interface in _LOOPBACK.items():
        os.environ.setdefault(name, interface)
    cuda = rank.device == "cuda"
    with _or_lost():
        dist.init_process_group(
            "nccl" if cuda else "gloo",
            store=dist.FileStore(  # type: ignore[attr-defined] # it is documented
                str(rank.folder / "rendezvous"), rank.size
            ),
            rank=rank.rank,
            world_size=rank.size,
            timeout=_PATIENCE,
            device_id=torch.device("cuda", rank.gpu) if cuda else None,
        )


class Replicas:
    """See `Exchange`. The replicas begin alike and add up all that moves them, so they stay so.

    GPUs that can read each other's memory do so (`peers.py`); the others have an all-reduce. Either
    gives every rank the same bits; what follows on each is the same work on GPUs of one kind.
    `compare` proves it.
    """

    def __init__(self, rank: int, size: int, device: torch.device, leash: Leash) -> None:
        self.rank = rank
        self.size = size
        self._device = device
        self._leash = leash
        self._memory = torch.empty(0, device=device)
        with _or_lost():
            self._peers = peers_if_right(rank, size, device) if device.type == "cuda" else None

    @property
    def narrow(self) -> bool:
        """See `Exchange`: where GPUs read each other's memory, the link is what they wait for."""
        return self._peers is not None

    def memory(self, floats: int, most: int) -> Tensor:
        """See `Exchange`."""
        if self._peers:
            with _or_lost():
                return self._peers.memory(floats, most)
        if len(self._memory) < floats:
            self._memory = torch.empty(0, device=self._device)
            self._memory = torch.empty(max(floats, most), device=self._device)
        return self._memory

    def sums_of_all(self, gathered: Gathered) -> AbstractContextManager[Gathered | Scattered]:
        """See `Exchange`."""
        if self._peers:
            return self._peers.sums_of_all(gathered)
        with _or_lost(), torch.no_grad():
            dist.all_reduce(gathered.flat)
        return nullcontext(gathered)

    @torch.no_grad()
    def add_up(self, sums: Sequence[Tensor]) -> None:
        """See `Exchange`."""
        with _or_lost():
            for one in sums:
                dist.all_reduce(one)

    @torch.no_grad()
    def take_from_first(self, tensors: Sequence[Tensor]) -> None:
        """See `Exchange`."""
        with _or_lost():
            for tensor in tensors:
                dist.broadcast(tensor, src=0)

    @torch.no_grad()
    def compare(self, gaussians: Gaussians, step: int) -> None:
        """See `Exchange`; waits for the device."""
        own = fingerprint(gaussians)
        all_ = [torch.zeros_like(own) for _ in range(self.size)]
        with _or_lost():
            dist.all_gather(all_, own)
        prints = torch.stack(all_).tolist()
        other = next((rank for rank, one in enumerate(prints) if one != prints[0]), None)
        if other is not None:
            raise TrainerError(
                Reason.INTERNAL_ERROR,
                f"after step {step:,} the splat of rank {other} ({prints[other][0]:,} Gaussians) "
                f"is not that of rank 0 ({prints[0][0]:,}): please report it; one GPU "
                "(--gpus 1) trains without",
            )

    def stops(self, step: int, *, wanted: bool) -> bool:
        """See `Exchange`."""
        return self._leash.stops(step, wanted=wanted)


def fingerprint(gaussians: Gaussians) -> Tensor:
    """The count, and sums over the bits of all parameters, as int64.

    Sums of integers do not depend on their order. Those of the means weigh each row by its
    place, which tells two orders of the same rows from each other.
    """
    bits = {name: tensor.detach().contiguous().view(torch.int32) for name, tensor in gaussians}
    places = torch.arange(len(gaussians), device=gaussians.device)
    ordered = (bits["means"].sum(1, dtype=torch.int64) * places).sum()
    count = torch.tensor(len(gaussians), device=gaussians.device)
    sums = [one.sum(dtype=torch.int64) for one in bits.values()]
    return torch.stack([count, ordered, *sums])


@contextmanager
def _or_lost() -> Iterator[None]:
    """Collectives fail where a peer is gone; what else they may fail of is rare, and as final."""
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:  # dist.DistError is one
        raise PeerLost(str(error)) from error
