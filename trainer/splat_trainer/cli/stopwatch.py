"""Seconds by what they were spent on."""

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Stopwatch:
    """Adds up the time spent under each name."""

    def __init__(self) -> None:
        self._spent: dict[str, float] = {}

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        """Count the time of the block under `name`."""
        began = time.monotonic()
        try:
            yield
        finally:
            self._spent[name] = self.seconds(name) + time.monotonic() - began

    def seconds(self, name: str) -> float:
        """Seconds under a name so far."""
        return self._spent.get(name, 0.0)
