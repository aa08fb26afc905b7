"""The manifest of a build: what it is of, and every file with its size and checksum.

What is read here may be anybody's: whoever can write the cache can write a manifest. Nothing
outside its own folder is opened for it, nothing is followed, and nothing is loaded unless its
content is what the manifest says.
"""

import contextlib
import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Self

from pydantic import Field, ValidationError, model_validator

from splat_trainer.contract.model import Document
from splat_trainer.kernels.extension import LIBRARY
from splat_trainer.kernels.ingredients import AnyIngredients, Ingredients
from splat_trainer.kernels.own.archive import ARCHIVE, ARCHIVE_LIMIT

NAME = "manifest.json"

_MANIFEST_LIMIT = 1 << 18
_FILE_LIMIT = 1 << 32
_BLOCK = 1 << 20


class RefusedError(Exception):
    """A build that must not be loaded; its text says what is wrong, in one line."""


class BuiltFile(Document):
    """A file of a build."""

    name: str = Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}$")
    bytes: int = Field(ge=0, le=_FILE_LIMIT)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class Manifest(Document):
    """What a folder of the cache holds."""

    version: int = Field(1, ge=1, le=1, description="Of this layout.")
    key: str
    ingredients: AnyIngredients
    files: tuple[BuiltFile, ...] = Field(min_length=1, max_length=64)
    build_seconds: float = Field(ge=0, allow_inf_nan=False)

    @model_validator(mode="after")
    def _is_of_its_key_and_lists_what_is_loaded(self) -> Self:
        if self.key != self.ingredients.key:
            raise ValueError("the key is not that of the ingredients")
        names = [file.name for file in self.files]
        if len(set(names)) != len(names) or NAME in names:
            raise ValueError("a file is listed twice")
        loaded = LIBRARY if isinstance(self.ingredients, Ingredients) else ARCHIVE
        if loaded not in names:  # which would be loaded unread
            raise ValueError(f"it does not list {loaded}")
        return self

    @property
    def bytes(self) -> int:
        """The size of all files, without the manifest's own."""
        return sum(file.bytes for file in self.files)

    @classmethod
    def describe(cls, ingredients: AnyIngredients, files: list[Path], build_seconds: float) -> Self:
        """Make the manifest of files that a build has made."""
        return cls(
            key=ingredients.key,
            ingredients=ingredients,
            files=tuple(
                BuiltFile(name=file.name, bytes=file.stat().st_size, sha256=_digest(file))
                for file in files
            ),
            build_seconds=round(build_seconds, 3),
        )


def read_manifest(folder: Path) -> Manifest:
    """Read and check the manifest in a folder that is named by a key.

    Raises:
        RefusedError: there is none that can be used.
    """
    with _opened(folder) as inside:
        content = _read(inside, NAME, _MANIFEST_LIMIT)
    try:
        manifest = Manifest.model_validate_json(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise RefusedError(
            f"{NAME} is not valid: {where} {first['msg']}".replace("  ", " ")
        ) from None
    if manifest.key != folder.name:
        raise RefusedError(f"{NAME} is of another key, {manifest.key}")
    return manifest


def verify(folder: Path, manifest: Manifest) -> None:
    """Read every file and compare it with the manifest.

    Raises:
        RefusedError: a file is missing, is none, or differs.
    """
    with _opened(folder) as inside:
        for file in manifest.files:
            with _open_file(inside, file.name) as opened:
                size = os.fstat(opened.fileno()).st_size
                if size != file.bytes:
                    raise RefusedError(
                        f"{file.name} has {size} bytes, its manifest says {file.bytes}"
                    )
                if _digest_of(opened) != file.sha256:
                    raise RefusedError(f"{file.name} is damaged: its SHA-256 is not its manifest's")


def verified_archive(folder: Path, manifest: Manifest) -> bytes:
    """Read a build's archive; what is given is what was compared with the manifest.

    Raises:
        RefusedError: it is missing, is no file, is too large, or differs.
    """
    with _opened(folder) as inside:
        content = _read(inside, ARCHIVE, ARCHIVE_LIMIT)
    listed = next((file.sha256 for file in manifest.files if file.name == ARCHIVE), None)
    if hashlib.sha256(content).hexdigest() != listed:
        raise RefusedError(f"{ARCHIVE} is damaged: its SHA-256 is not its manifest's")
    return content


@contextlib.contextmanager
def _opened(folder: Path) -> Iterator[int]:
    """Open a folder, refusing a link in its place: all within is looked up from there."""
    try:
        opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise RefusedError(f"{folder.name} cannot be opened: {error.strerror}") from None
    try:
        yield opened
    finally:
        os.close(opened)


def _open_file(folder: int, name: str) -> IO[bytes]:
    # Not blocking, or a pipe in a file's place would hold this process for ever.
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        opened = os.open(name, flags, dir_fd=folder)
    except OSError as error:
        raise RefusedError(f"{name} cannot be opened: {error.strerror}") from None
    if not stat.S_ISREG(os.fstat(opened).st_mode):
        os.close(opened)
        raise RefusedError(f"{name} is no file")
    return os.fdopen(opened, "rb")


def _read(folder: int, name: str, limit: int) -> bytes:
    with _open_file(folder, name) as opened:
        try:
            content = opened.read(limit + 1)
        except OSError as error:
            raise RefusedError(f"{name} cannot be read: {error.strerror}") from None
    if len(content) > limit:
        raise RefusedError(f"{name} is larger than {limit} bytes")
    return content


def _digest(path: Path) -> str:
    with path.open("rb") as opened:
        return _digest_of(opened)


def _digest_of(opened: IO[bytes]) -> str:
    digest = hashlib.sha256()
    try:
        while block := opened.read(_BLOCK):
            digest.update(block)
    except OSError as error:
        raise RefusedError(f"it cannot be read: {error.strerror}") from None
    return digest.hexdigest()
