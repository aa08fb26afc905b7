"""How much memory this process may still take: the machine's, or its container's."""

from collections.abc import Sequence
from pathlib import Path

from splat_trainer.capture.cores import usable_cores

PROC = Path("/proc")
CGROUPS = Path("/sys/fs/cgroup")

_BYTES_A_PIXEL = 32
"""What decoding, undistorting and shrinking take at once: the image three times, its four 16-bit
lanes, and sums in floats while it shrinks. The words of half a million pixels that resampling has
in hand, 12 MB, come on top."""


def available_bytes(proc: Path = PROC, cgroups: Path = CGROUPS) -> int | None:
    """Give what the kernel would still grant, None where it does not say.

    A container's limit (cgroup v2, or v1) counts less what it uses now, but for cached files,
    which the kernel gives back when asked.
    """
    found = [_machine(proc), _container(cgroups, "memory.max", "memory.current")]
    found.append(_container(cgroups / "memory", "memory.limit_in_bytes", "memory.usage_in_bytes"))
    known = [value for value in found if value is not None]
    return min(known) if known else None


def readers(pixels: Sequence[int]) -> int:
    """Say how many images of so many pixels may be worked on at once."""
    processors = usable_cores()
    free = available_bytes()
    if free is None or not pixels:
        return processors
    return max(1, min(processors, free // 4 // (_BYTES_A_PIXEL * max(pixels) + 1)))


def _machine(proc: Path) -> int | None:
    for line in _text(proc / "meminfo").splitlines():
        name, _, value = line.partition(":")
        if name == "MemAvailable":
            return int(value.split()[0]) * 1024
    return None


def _container(folder: Path, limit_name: str, usage_name: str) -> int | None:
    limit, usage = _text(folder / limit_name).strip(), _text(folder / usage_name).strip()
    if not (limit.isdigit() and usage.isdigit()):
        return None  # no container, or "max"
    cached = 0
    for line in _text(folder / "memory.stat").splitlines():
        name, _, value = line.partition(" ")
        if name in ("inactive_file", "total_inactive_file"):
            cached = max(cached, int(value))
    return max(0, int(limit) - int(usage) + cached)


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
