"""Pairs of Gaussian and tile in the order of their keys.

PyTorch sorts indices of 64 bits along with keys, by which owners are then fetched; an operator of
ours has the same sort move the owners themselves, of 32.
"""

from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import Tensor

from splat_trainer.kernels.self_check import DisagreementError, compiled_in, use_if_right

SortPairs: TypeAlias = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""Keys [P] int32 or int64, rising, and the values [P] int32 that came with them; equal keys keep
their order."""


def plain_sort(keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
    """See `SortPairs`: by PyTorch."""
    keys, order = keys.sort(stable=True)
    return keys, values[order]


def sort_for(device: torch.device) -> SortPairs:
    """The fastest on a device: on a GPU our own, where it is compiled in and right."""
    if device.type != "cuda":
        return plain_sort
    fused = use_if_right("sorting", _fused, lambda one: check_fused(one, device))
    return fused or plain_sort


def _fused() -> SortPairs:
    def sort(keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        found: tuple[Tensor, Tensor] = torch.ops.splat.sort_pairs(keys, values)
        return found

    return compiled_in("sort_pairs", sort)


def check_fused(fused: SortPairs, device: torch.device, *, count: int = 10_000) -> None:
    """Compare with PyTorch's sort keys that are often equal, of both widths.

    Raises:
        DisagreementError: they differ.
    """
    generator = torch.Generator().manual_seed(count)
    values = torch.randperm(count, generator=generator, dtype=torch.int32).to(device)
    for kind, least, most in ((torch.int32, -(2**31), 2**31), (torch.int64, 0, 2**46)):
        few = torch.randint(least, most, (max(1, count // 3),), generator=generator)
        keys = few[torch.randint(len(few), (count,), generator=generator)].to(device, kind)
        for found, wanted in zip(fused(keys, values), plain_sort(keys, values), strict=True):
            if not torch.equal(found, wanted):
                raise DisagreementError(f"pairs with keys of {kind} are not in their order")
