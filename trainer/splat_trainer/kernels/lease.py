"""Who builds a key: a lease in a file, for processes that share nothing but a folder.

The folder may be on NFS, the processes on different hosts, their clocks wrong. So no lock of the
kernel's, and no time that another host wrote: a holder rewrites its file again and again, and
whoever waits measures by its own monotonic clock for how long the content stayed the same.

The leases of a key are numbered. The file with the highest number counts, and taking over means
to create the next one, which O_EXCL grants to one process alone (open(2): NFSv3 and later too).
Nothing is renamed or deleted to take over, so nobody can take over by mistake from a holder that
came in between. A holder that was thought dead and goes on does no harm: what it builds is as
good, and the cache takes the first that is whole (store.py).
"""

import contextlib
import errno
import os
import re
import secrets
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from pydantic import Field, ValidationError

from splat_trainer.contract import Reason
from splat_trainer.contract.model import Document

_LIMIT = 1 << 12
_NUMBER = re.compile(r"[1-9][0-9]{0,11}")
_NO_FILE = (errno.EISDIR, errno.ELOOP, errno.ENXIO)
"""What opening or reading a folder, a symbolic link or a socket in a lease's place fails by."""


@dataclass(frozen=True)
class Timing:
    """How often a holder writes, and for how long nothing new makes others think it dead."""

    beat_seconds: float = 2.0
    patience_seconds: float = 15.0
    poll_seconds: float = 0.25


class LeaseState(StrEnum):
    """What a holder says of itself."""

    HELD = "Held"
    RELEASED = "Released"  # it gave up without a result: it was interrupted
    FAILED = "Failed"  # so would others: the compiler refused the sources


class LeaseRecord(Document):
    """What a lease's file says; good for telling people, and for what its holder left behind."""

    holder: str = Field(max_length=64)
    host: str = Field("", max_length=256)
    pid: int = Field(0, ge=0)
    state: LeaseState = LeaseState.HELD
    beat: int = Field(0, ge=0)
    reason: Reason | None = None
    message: str = Field("", max_length=1024)

    @property
    def who(self) -> str:
        """The holder, in words."""
        return f"process {self.pid} on {self.host}"


def parse_lease(content: bytes) -> LeaseRecord | None:
    """Read a lease; None where it says nothing that can be read: half written, or damaged."""
    try:
        return LeaseRecord.model_validate_json(content.strip(b"\0 \n"))
    except ValidationError:
        return None


@dataclass(frozen=True)
class Sighting:
    """A key's lease as it was seen at one moment."""

    number: int
    content: bytes
    record: LeaseRecord | None


class Watch:
    """Judges by what was seen over time whether a lease's holder lives. Pure."""

    def __init__(self, patience_seconds: float) -> None:
        self._patience = patience_seconds
        self._last: tuple[int, bytes] | None = None
        self._since = 0.0
        self._held: set[int] = set()

    def lives(self, seen: Sighting | None, now: float) -> bool:
        """Take note of a sighting at `now` of a monotonic clock; tell whether to go on waiting."""
        if seen is None:
            return False
        if seen.record and seen.record.state is not LeaseState.HELD:
            return False
        if self._last != (seen.number, seen.content):
            self._last, self._since = (seen.number, seen.content), now
        self._held.add(seen.number)
        return now - self._since < self._patience

    def was_waited_for(self, seen: Sighting | None) -> bool:
        """Tell whether this lease was seen held: its failure is then this process's too."""
        return seen is not None and seen.number in self._held


class Leases:
    """The leases of one key in one folder."""

    def __init__(self, root: Path, key: str) -> None:
        self._root = root
        self._prefix = f".lease-{key}."

    def newest(self) -> Sighting | None:
        """Look at the lease that counts."""
        found = None
        for number in sorted(self._numbers(), reverse=True):
            found = self._look(number)
            if found:
                break  # else its holder is done
        # A client of NFS may list a folder as it was a minute ago; opening asks the server.
        while later := self._look(found.number + 1 if found else 1):
            found = later
        return found

    def take(self, after: Sighting | None) -> "Lease | None":
        """Take the number after the one that was seen; None where another process was faster."""
        number = after.number + 1 if after else 1
        path = self._path(number)
        try:
            opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        except FileExistsError:
            return None
        return Lease(self, number, opened)

    def forget(self, up_to: int) -> None:
        """Delete leases up to a number."""
        for number in self._numbers():
            if number <= up_to:
                with contextlib.suppress(OSError):
                    self._path(number).unlink()

    def _look(self, number: int) -> Sighting | None:
        try:
            content = _read(self._path(number))
        except FileNotFoundError:
            return None
        except OSError as error:
            if error.errno not in _NO_FILE:
                raise
            content = b""  # nobody's: found dead after a while, and passed over
        return Sighting(number, content, parse_lease(content))

    def _numbers(self) -> Iterator[int]:
        for name in os.listdir(self._root):  # noqa: PTH208 - names are all that is wanted
            rest = name.removeprefix(self._prefix)
            if rest != name and _NUMBER.fullmatch(rest):
                yield int(rest)

    def _path(self, number: int) -> Path:
        return self._root / f"{self._prefix}{number}"


class Lease:
    """A lease that this process holds: a thread keeps it alive until it is given up."""

    def __init__(self, leases: Leases, number: int, opened: int) -> None:
        self._leases = leases
        self.number = number
        self._opened = opened
        self._record = LeaseRecord(
            holder=secrets.token_hex(16), host=socket.gethostname()[:256], pid=os.getpid()
        )
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        self._write()

    def keep_alive(self, every_seconds: float) -> None:
        """Begin to rewrite the file, in a thread."""
        self._thread = threading.Thread(
            target=self._beat, args=(every_seconds,), name="lease", daemon=True
        )
        self._thread.start()

    def done(self) -> None:
        """Give it up: what it was for is there."""
        self._stop()
        os.close(self._opened)
        self._leases.forget(self.number)

    def give_up(self, reason: Reason | None = None, message: str = "") -> None:
        """Give it up without a result; with a reason, others who wait fail for it too."""
        self._stop()
        state = LeaseState.FAILED if reason else LeaseState.RELEASED
        self._record = self._record.model_copy(
            update={"state": state, "reason": reason, "message": message[:1024]}
        )
        with contextlib.suppress(OSError):  # then it is found dead
            self._write()
        os.close(self._opened)
        self._leases.forget(self.number - 1)

    def _beat(self, every_seconds: float) -> None:
        while not self._over.wait(every_seconds):
            self._record = self._record.model_copy(update={"beat": self._record.beat + 1})
            with contextlib.suppress(OSError):  # others may take over; this one goes on
                self._write()

    def _write(self) -> None:
        content = self._record.model_dump_json(exclude_none=True).encode()
        os.pwrite(self._opened, content.ljust(_LIMIT), 0)
        os.fsync(self._opened)

    def _stop(self) -> None:
        self._over.set()
        if self._thread:
            self._thread.join()


def _read(path: Path) -> bytes:
    opened = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        return os.read(opened, _LIMIT)
    finally:
        os.close(opened)
