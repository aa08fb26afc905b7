"""A local folder as a storage."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from splat_trainer.storage.base import Entry, OnBytes
from splat_trainer.storage.fault import local_fault

_CHUNK = 1 << 20
TEMPORARY_PREFIX = ".splat-"


@dataclass(frozen=True)
class LocalStorage:
    """Files below `root`, which is made at the first write."""

    root: Path

    def uri(self, name: str) -> str:
        """Give the path as it would be written in a shell."""
        return str(self.root / name)

    def list(self, folder: str = "") -> Iterator[Entry]:
        """List the files below `folder` by name; unfinished ones of ours are not told."""
        for path in sorted((self.root / folder).rglob("*")):
            if path.is_file() and not path.name.startswith(TEMPORARY_PREFIX):
                yield Entry(path.relative_to(self.root).as_posix(), path.stat().st_size)

    def size(self, name: str) -> int | None:
        """Give the file's size, None where there is none."""
        path = self.root / name
        try:
            return path.stat().st_size if path.is_file() else None
        except OSError as error:
            raise local_fault(error, "read", path) from error

    def download(self, name: str, path: Path, on_bytes: OnBytes | None = None) -> None:
        """Copy out of the folder."""
        copy_atomically(self.root / name, path, on_bytes)

    def upload(self, path: Path, name: str, on_bytes: OnBytes | None = None) -> None:
        """Copy into the folder; a file that lies at its place already is left alone."""
        target = self.root / name
        if not (target.exists() and target.samefile(path)):
            copy_atomically(path, target, on_bytes)

    def delete(self, name: str) -> None:
        """Remove the file."""
        path = self.root / name
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise local_fault(error, "remove", path) from error

    def check_writable(self) -> None:
        """Make the folder, and a file in it that is gone at once."""
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.root, prefix=TEMPORARY_PREFIX):
                pass
        except OSError as error:
            raise local_fault(error, "write", self.root) from error


def copy_atomically(source: Path, target: Path, on_bytes: OnBytes | None = None) -> None:
    """Copy beside the target, then rename: a reader sees the old file or the new, never half."""
    try:
        reader = source.open("rb")
    except OSError as error:
        raise local_fault(error, "read", source) from error
    with reader:
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=TEMPORARY_PREFIX)
        except OSError as error:
            raise local_fault(error, "write", target) from error
        try:
            with os.fdopen(handle, "wb") as writer:
                while chunk := reader.read(_CHUNK):
                    writer.write(chunk)
                    if on_bytes is not None:
                        on_bytes(len(chunk))
                writer.flush()
                os.fsync(writer.fileno())
            os.chmod(temporary, 0o644)  # noqa: PTH101 - mkstemp's 0600 hides outputs
            os.replace(temporary, target)  # noqa: PTH105
        except OSError as error:
            raise local_fault(error, "write", target) from error
        finally:
            with suppress(OSError):
                os.unlink(temporary)  # noqa: PTH108
