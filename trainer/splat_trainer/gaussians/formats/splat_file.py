"""What all formats share: only Gaussians that can be drawn, and files whole or not at all."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import torch
from torch import Tensor

from splat_trainer.gaussians.atomic_file import atomic_file
from splat_trainer.gaussians.gaussians import Gaussians, sh_rest_count
from splat_trainer.storage.fault import local_fault

_ROWS_AT_ONCE = 1 << 16


@dataclass(frozen=True)
class SplatWritten:
    """What was written; `dropped` rows held NaN or infinity, or a rotation of length zero."""

    gaussians: int
    dropped: int
    bytes: int


def write_splat_file(
    gaussians: Gaussians, path: Path, write: Callable[[Gaussians, BinaryIO], None]
) -> SplatWritten:
    """Have `write` put the drawable Gaussians into a file that then takes `path`'s name.

    They keep no bands of spherical harmonics that are zero throughout, so that what was read
    from a PLY, which always has three, makes the same file as what was trained.
    """
    drawable = _drawable(gaussians)
    kept = _without_empty_bands(gaussians.select(drawable))
    try:
        with atomic_file(path) as file:
            write(kept, file)
            size = file.tell()
    except OSError as error:
        raise local_fault(error, "write", path) from error
    return SplatWritten(len(kept), len(gaussians) - len(kept), size)


def blocks(gaussians: Gaussians, order: Tensor | None = None) -> Iterator[Gaussians]:
    """Give the Gaussians in blocks on the CPU; `order` [N] says in which order."""
    for start in range(0, len(gaussians), _ROWS_AT_ONCE):
        rows = slice(start, start + _ROWS_AT_ONCE)
        yield gaussians.select(rows if order is None else order[rows]).detach().to("cpu")


def _drawable(gaussians: Gaussians) -> Tensor:
    finite = torch.stack(
        [
            tensor.flatten(1).isfinite().all(1) if tensor.dim() > 1 else tensor.isfinite()
            for _, tensor in gaussians
        ]
    ).all(0)
    drawable: Tensor = finite & (gaussians.quats.norm(dim=1) > 0)
    return drawable


def _without_empty_bands(gaussians: Gaussians) -> Gaussians:
    degree = gaussians.sh_degree
    while degree > 0 and not gaussians.shN[:, sh_rest_count(degree - 1) :].any():
        degree -= 1
    return gaussians.replacing(sh=gaussians.sh[:, : 1 + sh_rest_count(degree)])
