"""Kernels of our own are used only where they were seen to be right.

Each is compiled, or found compiled (own/fill.py), run once on small random input and compared
with its twin, in plain PyTorch or gsplat's, when a process first wants it. One that fails in any
way is told of in one line, and its twin does the work: slower, and the same.
"""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import torch
from torch import Tensor

from splat_trainer.kernels.own.fill import fill_for_this_gpu

_log = logging.getLogger(__name__)

Kernel = TypeVar("Kernel")

_WHY_LENGTH = 200


class DisagreementError(Exception):
    """A kernel's results are not those of its twin."""


@dataclass(frozen=True)
class CheckedKernel:
    """How a check ended; `seconds` are those of compiling and comparing, `why` is "" if in use."""

    name: str
    in_use: bool
    seconds: float
    why: str = ""


_checked: dict[str, tuple[CheckedKernel, Any]] = {}


def checked_kernels() -> list[CheckedKernel]:
    """What was checked in this process, in order."""
    return [result for result, _ in _checked.values()]


def use_if_right(
    name: str, make: Callable[[], Kernel], check: Callable[[Kernel], None]
) -> Kernel | None:
    """Give a kernel if it passes its check, else None; a process checks each name once.

    `make` imports it, which may fail as well as `check` may: a compiler, a linker, a folder for
    Triton's cache, anything can be missing.
    """
    if name not in _checked:
        started = time.monotonic()
        kernel: Kernel | None = None
        why = ""
        fill_for_this_gpu()
        try:
            kernel = make()
            check(kernel)
        except Exception as error:
            kernel = None
            lines = str(error).strip().splitlines() or [type(error).__name__]
            why = lines[0][:_WHY_LENGTH]
            _log.warning("%s: not used here (%s): training goes on, slower", name, why)
        result = CheckedKernel(name, kernel is not None, time.monotonic() - started, why)
        _checked[name] = (result, kernel)
    return cast("Kernel | None", _checked[name][1])


def compiled_in(operator: str, kernel: Kernel) -> Kernel:
    """Give a kernel that calls an operator of ours (`extension.OPERATORS`), if there is one.

    Raises:
        RuntimeError: gsplat's library, which was loaded, came compiled from elsewhere.
    """
    if not hasattr(torch.ops.splat, operator):
        raise RuntimeError("it is not among the kernels that were loaded")
    return kernel


def agree(found: Sequence[Tensor], wanted: Sequence[Tensor], *, relative: float) -> None:
    """Compare tensors by the norm of their difference, relative to that of what is wanted.

    Raises:
        DisagreementError: one is of another shape, or further off, or not finite.
    """
    for one, other in zip(found, wanted, strict=True):
        if one.shape != other.shape:
            raise DisagreementError(f"gives {list(one.shape)} where {list(other.shape)} is right")
        difference = (one.double() - other.double()).norm()
        off = float(difference / torch.clamp_min(other.double().norm(), 1e-30))
        if not off <= relative and not float(difference) == 0:
            raise DisagreementError(f"differs from its twin by {off:.1g} of its value")
