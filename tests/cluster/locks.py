"""Locks between processes, as files that may be removed while they are held."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Lock:
    """A held lock; let go when `release` is called or the process ends."""

    def __init__(self, path: Path, shared: bool = False) -> None:
        """Wait for the lock of that file, which is made where it is missing."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        while True:
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._descriptor, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
            if self._is_the_file():
                return
            # Its last holder removed it while we waited: those after us wait for a new one.
            os.close(self._descriptor)

    def _is_the_file(self) -> bool:
        try:
            return os.path.samestat(self.path.stat(), os.fstat(self._descriptor))
        except FileNotFoundError:
            return False

    def only_holder(self) -> bool:
        """Make a shared lock exclusive, if nobody else has it."""
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def release(self, remove: bool = False) -> None:
        """Let go; `remove` takes the file away too, for which the lock must be exclusive."""
        if remove:
            self.path.unlink(missing_ok=True)
        os.close(self._descriptor)


@contextmanager
def locked(path: Path, remove: bool = False) -> Iterator[None]:
    """Hold the exclusive lock of a file; `remove` the file at the end."""
    lock = Lock(path)
    try:
        yield
    finally:
        lock.release(remove)
