"""The cache's folder: one folder a key, each whole or not there.

```
<root>/<key>/manifest.json, gsplat_cuda.so, build.log    a build of gsplat's kernels
<root>/<key>/manifest.json, triton.zip, build.log        one of our own (own/)
<root>/.new-<key>-<nonce>/                               one that is being put there
<root>/.old-<key>-<nonce>/                               one that is on its way out
<root>/.lease-<key>.<number>                             who builds a key (lease.py)
```

A build is renamed into its place when all of it is on disk, and renamed out of its place before
anything of it is deleted. No lock is needed to read. When it was last used is its manifest's
time of change, where the reader may write.
"""

import contextlib
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from splat_trainer.contract.kernels import KEY_PATTERN
from splat_trainer.kernels.ingredients import AnyIngredients
from splat_trainer.kernels.manifest import NAME, Manifest, RefusedError, read_manifest, verify

_MOST_ENTRIES = 10_000


@dataclass(frozen=True)
class Entry:
    """A folder of the cache that has a key's name; `refused` says why where it cannot be used."""

    key: str
    folder: Path
    manifest: Manifest | None
    refused: str | None
    bytes: int
    last_used: float
    """Seconds since 1970, by the clock of the file system; compared with each other alone."""


class Store:
    """The builds in one folder, local or on a network."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def folder(self, key: str) -> Path:
        """Where a key's build is, or would be."""
        if not re.fullmatch(KEY_PATTERN, key):
            raise ValueError(f"{key!r} is no key")
        return self.root / key

    def is_there(self, key: str) -> bool:
        """Tell whether something lies in a key's place."""
        return os.path.lexists(self.folder(key))

    def verified(self, key: str) -> Manifest:
        """Read a build whole and give its manifest.

        Raises:
            RefusedError: it must not be loaded.
        """
        manifest = read_manifest(self.folder(key))
        verify(self.folder(key), manifest)
        return manifest

    def entries(self) -> list[Entry]:
        """Look at every key's folder, without reading the files in it; others are none of ours."""
        return [self._entry(name) for name in self._names() if re.fullmatch(KEY_PATTERN, name)]

    def writable(self) -> bool:
        """Tell whether builds can be put here; makes the folder where that is what is missing."""
        with contextlib.suppress(OSError):
            self.root.mkdir(parents=True, exist_ok=True)
        # access(2) tells of a mount that is read-only, too.
        return self.root.is_dir() and os.access(self.root, os.W_OK | os.X_OK)

    def touch(self, key: str) -> None:
        """Remember that a build was used just now, where that can be written."""
        with contextlib.suppress(OSError):
            os.utime(self.folder(key) / NAME)

    def put(self, ingredients: AnyIngredients, files: list[Path], build_seconds: float) -> Manifest:
        """Put a build in its place, all of it at once; a sound one that is there stays.

        Raises:
            OSError: the cache cannot be written.
        """
        key = ingredients.key
        target = self.folder(key)
        new = self._aside("new", key)
        new.mkdir()
        try:
            new.chmod(0o755)  # whoever reads may be another user
            placed = [_copy_to_disk(file, new / file.name) for file in files]
            manifest = Manifest.describe(ingredients, placed, build_seconds)
            _write_to_disk(new / NAME, manifest.model_dump_json(indent=2).encode() + b"\n")
            _sync(new)
            while not _renamed(new, target):
                with contextlib.suppress(RefusedError):
                    return self.verified(key)
                self.remove(key)
            _sync(self.root)
        finally:
            shutil.rmtree(new, ignore_errors=True)
        return manifest

    def remove(self, key: str) -> None:
        """Delete a build; nobody sees a part of it."""
        old = self._aside("old", key)
        with contextlib.suppress(FileNotFoundError):
            self.folder(key).rename(old)
            _delete(old)

    def clear_leftovers(self, key: str) -> None:
        """Delete what builders of a key left that were killed; for who holds the key's lease."""
        for name in self._names():
            if name.startswith((f".new-{key}-", f".old-{key}-")):
                _delete(self.root / name)

    def bytes(self) -> int:
        """The size of all builds."""
        return sum(entry.bytes for entry in self.entries())

    def _entry(self, key: str) -> Entry:
        folder = self.folder(key)
        manifest, refused = None, None
        try:
            manifest = read_manifest(folder)
        except RefusedError as refusal:
            refused = str(refusal)
        size, last_used = _size_and_time(folder)
        return Entry(key, folder, manifest, refused, size, last_used)

    def _names(self) -> Iterator[str]:
        try:
            with os.scandir(self.root) as found:
                names = [entry.name for _, entry in zip(range(_MOST_ENTRIES), found, strict=False)]
        except FileNotFoundError:
            names = []
        yield from sorted(names)

    def _aside(self, kind: str, key: str) -> Path:
        return self.root / f".{kind}-{key}-{secrets.token_hex(8)}"


def _renamed(source: Path, target: Path) -> bool:
    """Rename a folder unless something is there (rename(2): an empty folder is replaced)."""
    try:
        source.rename(target)
    except (FileExistsError, NotADirectoryError):
        return False
    except OSError as error:
        if os.path.lexists(target):  # ENOTEMPTY, or what a network file system says instead
            return False
        raise error from None
    return True


def _delete(path: Path) -> None:
    if path.is_symlink() or not path.is_dir():
        path.unlink(missing_ok=True)
    else:
        shutil.rmtree(path, ignore_errors=True)


def _copy_to_disk(source: Path, target: Path) -> Path:
    shutil.copyfile(source, target)
    target.chmod(0o644)
    _sync(target)
    return target


def _write_to_disk(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    path.chmod(0o644)
    _sync(path)


def _sync(path: Path) -> None:
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def _size_and_time(folder: Path) -> tuple[int, float]:
    """Bytes of the files right in a folder, and when its manifest was last touched."""
    size, last_used = 0, 0.0
    try:
        with os.scandir(folder) as found:
            for _, file in zip(range(_MOST_ENTRIES), found, strict=False):
                status = file.stat(follow_symlinks=False)
                size += status.st_size
                if file.name == NAME:
                    last_used = status.st_mtime
    except OSError:
        pass  # gone since, or no folder
    return size, last_used
