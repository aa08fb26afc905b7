"""Seconds by what they were spent on."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from splat_trainer.train.device import synchronize


class Stopwatch:
    """Measures one activity at a time; a device is waited for at every change of activity."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._seconds: dict[str, float] = {}
        self._running: tuple[str, float] | None = None

    @contextmanager
    def measure(self, name: str) -> Iterator[None]:
        """Count what follows as `name`; what was measured before goes on afterwards."""
        outer = self._switch(name)
        try:
            yield
        finally:
            self._switch(outer)

    def seconds(self, name: str) -> float:
        """Seconds spent on `name` so far."""
        passed = self._seconds.get(name, 0.0)
        if self._running and self._running[0] == name:
            passed += time.monotonic() - self._running[1]
        return passed

    def _switch(self, name: str | None) -> str | None:
        synchronize(self._device)
        now = time.monotonic()
        before = None
        if self._running:
            before, since = self._running
            self._seconds[before] = self._seconds.get(before, 0.0) + now - since
        self._running = (name, now) if name else None
        return before
