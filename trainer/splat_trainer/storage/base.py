"""The interface of a place that holds files by name: a local folder, or a bucket's prefix."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

OnBytes = Callable[[int], None]
"""Told how many more bytes have come or gone; may be called from several threads."""


@dataclass(frozen=True)
class Entry:
    """A file of a storage: its name below the storage's root, and its size in bytes."""

    name: str
    size: int


class Storage(Protocol):
    """Files by name. Every failure is a TrainerError of one line."""

    def uri(self, name: str) -> str:
        """Say where the file `name` lies, as people write it."""

    def list(self, folder: str = "") -> Iterator[Entry]:
        """List the files below `folder`, all of them for ""."""

    def size(self, name: str) -> int | None:
        """Give the size of the file `name`, None where there is none."""

    def download(self, name: str, path: Path, on_bytes: OnBytes | None = None) -> None:
        """Copy the file `name` to `path`, which appears whole or not at all."""

    def upload(self, path: Path, name: str, on_bytes: OnBytes | None = None) -> None:
        """Copy the local file `path` to `name`, which appears whole or not at all."""

    def delete(self, name: str) -> None:
        """Remove the file `name`; one that is not there is no fault."""

    def check_writable(self) -> None:
        """Fail now, not after hours, where nothing can be written; leaves no trace."""
