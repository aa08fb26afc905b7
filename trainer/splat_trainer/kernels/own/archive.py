"""Triton's cache as one file: packed when kernels were compiled, unpacked where Triton looks.

Triton keeps a folder for each kernel, named by its cache's key, and beside the files a group: a
JSON document that names them by their paths, which are others where the cache is unpacked.
"""

import io
import json
import re
import secrets
import zipfile
from pathlib import Path

ARCHIVE = "triton.zip"

ARCHIVE_LIMIT = 1 << 26
_UNPACKED_LIMIT = 1 << 28
_MOST_FILES = 10_000
_GROUP = "__grp__"
_KEPT = frozenset({".cubin", ".json", ".so"})
"""What a launch reads; the stages before machine code are for people."""

_MEMBER = re.compile(r"([A-Za-z0-9_-]{16,128})/([A-Za-z0-9_][A-Za-z0-9_.+-]{0,199})")
_LONG_AGO = (1980, 1, 1, 0, 0, 0)


class ArchiveError(Exception):
    """An archive that cannot be used; its text says what is wrong, in one line."""


def pack(cache: Path, archive: Path) -> int:
    """Write all of Triton's cache that launches read; gives the number of kernels in it."""
    kernels = 0
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        for path in sorted(cache.glob("*/*")):
            name = f"{path.parent.name}/{path.name}"
            if path.suffix not in _KEPT or not path.is_file() or not _MEMBER.fullmatch(name):
                continue
            content = path.read_bytes()
            if path.name.startswith(_GROUP):
                content = _relocated(content, Path())
            packed.writestr(zipfile.ZipInfo(name, _LONG_AGO), content, zipfile.ZIP_DEFLATED)
            kernels += path.suffix == ".cubin"
    return kernels


def unpack(content: bytes, cache: Path) -> int:
    """Write what an archive holds into Triton's cache; what is there stays. Gives the kernels.

    Raises:
        ArchiveError: it is damaged, too large, or holds what no cache of Triton does.
        OSError: the cache cannot be written.
    """
    kernels = 0
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as packed:
            members = packed.infolist()
            if (
                len(members) > _MOST_FILES
                or sum(member.file_size for member in members) > _UNPACKED_LIMIT
            ):
                raise ArchiveError(f"{ARCHIVE} holds too much")
            # A kernel's group is what makes it be found: all else is there before.
            for member in sorted(members, key=lambda one: _GROUP in one.filename):
                match = _MEMBER.fullmatch(member.filename)
                if not match:
                    raise ArchiveError(f"{ARCHIVE} holds a file that is not Triton's")
                folder = cache / match[1]
                kept = packed.read(member)
                if match[2].startswith(_GROUP):
                    kept = _relocated(kept, folder)
                _write(folder / match[2], kept)
                kernels += match[2].endswith(".cubin")
    except (zipfile.BadZipFile, ValueError, NotImplementedError, RuntimeError, EOFError) as error:
        raise ArchiveError(f"{ARCHIVE} cannot be read: {error}") from None
    return kernels


def _relocated(group: bytes, folder: Path) -> bytes:
    """A group whose files lie in `folder`."""
    document = json.loads(group)
    if not isinstance(document, dict) or not isinstance(document.get("child_paths"), dict):
        raise ArchiveError(f"{ARCHIVE} holds a group that is not Triton's")
    names = [Path(name).name for name in document["child_paths"]]
    paths = {name: str(folder / name) for name in names if Path(name).suffix in _KEPT}
    return json.dumps({**document, "child_paths": paths}).encode()


def _write(path: Path, content: bytes) -> None:
    """Write a file all at once: other processes may read and write the same."""
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    new = path.with_name(f".{secrets.token_hex(8)}")
    try:
        new.write_bytes(content)
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)
