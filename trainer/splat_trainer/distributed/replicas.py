"""Replicas of a splat that see another view each and step alike: NCCL on GPUs, gloo on the CPU."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Protocol

import torch
import torch.distributed as dist
from torch import Tensor

from splat_trainer.contract import TrainerError
from splat_trainer.contract.result import Reason
from splat_trainer.distributed.exchange import PeerLost
from splat_trainer.distributed.rank import Rank
from splat_trainer.gaussians.gaussians import Gaussians

_LOOPBACK = {"GLOO_SOCKET_IFNAME": "lo", "NCCL_SOCKET_IFNAME": "lo"}
"""All ranks are on one machine: what they listen on is not to be reached from another."""

_PATIENCE = timedelta(minutes=30)
"""How long a rank waits for the others where all are alive: for an evaluation or a checkpoint of
rank 0. Whether they are alive is not its business: who started them sees to that."""

_PART = 64
"""Parts of the buffer begin at multiples of this many floats, for kernels that read 16 bytes."""


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
    with _peers():
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

    An all-reduce gives every rank the same bits; what follows it on each is the same work on
    GPUs of one kind. `compare` proves it.
    """

    def __init__(self, rank: int, size: int, device: torch.device, leash: Leash) -> None:
        self.rank = rank
        self.size = size
        self._device = device
        self._leash = leash
        self._buffer = torch.zeros(0, device=device)

    @torch.no_grad()
    def add_up(self, leaves: Sequence[Tensor], sums: Sequence[Tensor]) -> None:
        """See `Exchange`. One all-reduce of one buffer; gradients are views of it afterwards."""
        parts = self._parts([*leaves, *sums])
        for leaf, part in zip(leaves, parts, strict=False):
            if leaf.grad is None:
                part.zero_()
            else:
                part.copy_(leaf.grad)
        own = parts[len(leaves) :]
        for total, part in zip(sums, own, strict=True):
            part.copy_(total)
        with _peers():
            dist.all_reduce(self._buffer)
        for leaf, part in zip(leaves, parts, strict=False):
            leaf.grad = part
        for total, part in zip(sums, own, strict=True):
            total.copy_(part)

    def _parts(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """Views of the buffer, one of each tensor's shape; the same for the same shapes."""
        places, size = [], 0
        for tensor in tensors:
            places.append(size)
            size += -(-tensor.numel() // _PART) * _PART
        if len(self._buffer) != size:
            self._buffer = torch.zeros(size, device=self._device)
        return [
            self._buffer[place : place + tensor.numel()].view(tensor.shape)
            for place, tensor in zip(places, tensors, strict=True)
        ]

    @torch.no_grad()
    def take_from_first(self, tensors: Sequence[Tensor]) -> None:
        """See `Exchange`."""
        with _peers():
            for tensor in tensors:
                dist.broadcast(tensor, src=0)

    @torch.no_grad()
    def compare(self, gaussians: Gaussians, step: int) -> None:
        """See `Exchange`; waits for the device."""
        own = fingerprint(gaussians)
        all_ = [torch.zeros_like(own) for _ in range(self.size)]
        with _peers():
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
def _peers() -> Iterator[None]:
    """Collectives fail where a peer is gone; what else they may fail of is rare, and as final."""
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:  # dist.DistError is one
        raise PeerLost(str(error)) from error
