"""Unpacks .zip, .tar and .tar.gz from strangers: nothing leaves the folder, nothing explodes.

Names that climb, links, devices and encrypted members are refused, not repaired: a capture
has none of them. Sizes are counted as they come out, never believed.
"""

import errno
import lzma
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

from splat_trainer.contract import Reason, TrainerError
from splat_trainer.contract.failure import shown
from splat_trainer.storage.fault import local_fault
from splat_trainer.storage.location import relative_name

_CHUNK = 1 << 20
_TAR_HEADER_LIMIT = 1 << 20
_ZIP_DIRECTORY_LIMIT = 64 << 20
_SAID_TO_BE_UTF_8 = 1 << 11


@dataclass(frozen=True)
class Limits:
    """What an archive may hold. `ratio` counts from `ratio_from` bytes on."""

    files: int = 100_000
    bytes: int = 200 << 30
    ratio: int = 200
    ratio_from: int = 256 << 20


DEFAULT_LIMITS = Limits()

_DAMAGED = (
    *(zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError),
    *(EOFError, struct.error),
)


@dataclass(frozen=True)
class _Member:
    name: str
    folder: bool
    stream: IO[bytes] | None


def unpack(archive: Path, folder: Path, limits: Limits = DEFAULT_LIMITS) -> None:
    """Unpack `archive` into the empty `folder`."""
    members = _zip_members if archive.name.lower().endswith(".zip") else _tar_members
    written = 0
    try:
        size = archive.stat().st_size
        allowed = min(limits.bytes, max(limits.ratio * size, limits.ratio_from))
        for count, member in enumerate(members(archive), start=1):
            if count > limits.files:
                raise _refused(archive, f"it holds more than {limits.files} files")
            written += _write(archive, member, folder, allowed - written)
    except _DAMAGED as error:
        raise _refused(archive, f"it is damaged or cut off ({error})") from error
    except (NotImplementedError, RuntimeError, UnicodeError, ValueError) as error:
        raise _refused(archive, f"it cannot be unpacked ({error})") from error
    except OSError as error:
        if error.errno is None:  # gzip's own, of a damaged file
            raise _refused(archive, f"it is damaged or cut off ({error})") from error
        raise local_fault(error, "unpack", archive) from error


def _write(archive: Path, member: _Member, folder: Path, allowed: int) -> int:
    name = relative_name(member.name)
    if name is None:
        if member.folder and member.name.strip("./\\") == "":
            return 0  # the entry "./" that tar writes for the folder itself
        raise _refused(archive, f"its member {shown(member.name)} leads out of the folder")
    target = folder / name
    try:
        if member.stream is None:
            target.mkdir(parents=True, exist_ok=True)
            return 0
        target.parent.mkdir(parents=True, exist_ok=True)
        writer = target.open("xb")
    except (FileExistsError, NotADirectoryError) as error:
        raise _refused(archive, f"its member {shown(member.name)} is there twice") from error
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        raise _refused(archive, f"its member {shown(member.name)} has too long a name") from error
    written = 0
    with writer, member.stream as stream:
        while chunk := stream.read(_CHUNK):
            written += len(chunk)
            if written > allowed:
                raise _refused(archive, "it unpacks to far more than its own size")
            writer.write(chunk)
    return written


def _zip_members(archive: Path) -> Iterator[_Member]:
    _check_zip_directory(archive)
    with zipfile.ZipFile(archive) as opened:
        for info in opened.infolist():
            kind = stat.S_IFMT(info.external_attr >> 16)
            name = _name_in_zip(info)
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise _refused(archive, f"its member {shown(name)} is no plain file")
            if info.flag_bits & 1:
                raise _refused(archive, f"its member {shown(name)} is encrypted")
            folder = info.is_dir()
            yield _Member(name, folder, None if folder else opened.open(info))


def _name_in_zip(info: zipfile.ZipInfo) -> str:
    """A member's name, which Info-ZIP writes in UTF-8 without saying so (APPNOTE.TXT, D.1)."""
    if info.flag_bits & _SAID_TO_BE_UTF_8:
        return info.filename
    try:
        return info.filename.encode("cp437").decode("utf-8")
    except UnicodeError:
        return info.filename


def _check_zip_directory(archive: Path) -> None:
    """Refuse a table of contents that would not fit in memory before it is read there.

    APPNOTE.TXT 4.3.14-16: the end record, at most 64 KiB before the end, has the table's size;
    in ZIP64 it has 0xFFFFFFFF, and a locator just before it points to the record that has.
    """
    with archive.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - 65_557 - 20))
        tail = file.read()
        at = tail.rfind(b"PK\5\6")
        if at < 0 or at + 22 > len(tail):
            return  # zipfile says it better
        (directory,) = struct.unpack_from("<I", tail, at + 12)
        if directory == 0xFFFFFFFF and at >= 20 and tail[at - 20 : at - 16] == b"PK\6\7":
            (record,) = struct.unpack_from("<Q", tail, at - 20 + 8)
            file.seek(min(record, size))
            end = file.read(56)
            directory = struct.unpack_from("<Q", end, 40)[0] if len(end) == 56 else 0
    if directory > _ZIP_DIRECTORY_LIMIT:
        raise _refused(archive, f"its table of contents alone is {directory} bytes")


class _BoundedTarInfo(tarfile.TarInfo):
    """A header whose extensions (long names, pax records) are not read into memory unbounded."""

    def _proc_member(self, tarfile_: tarfile.TarFile) -> "tarfile.TarInfo":
        kinds = (
            tarfile.GNUTYPE_LONGNAME,
            tarfile.GNUTYPE_LONGLINK,
            tarfile.XHDTYPE,
            tarfile.XGLTYPE,
            tarfile.SOLARIS_XHDTYPE,
        )
        if self.type in kinds and self.size > _TAR_HEADER_LIMIT:
            raise tarfile.ReadError(f"a header of {self.size} bytes")
        member: tarfile.TarInfo = super()._proc_member(tarfile_)  # type: ignore[misc]
        return member


def _tar_members(archive: Path) -> Iterator[_Member]:
    # Named, not guessed: an .xz stream may ask for gigabytes of memory to be read at all.
    mode: Literal["r|", "r|gz"] = "r|" if archive.name.lower().endswith(".tar") else "r|gz"
    with tarfile.open(archive, mode, tarinfo=_BoundedTarInfo, errorlevel=2) as opened:
        for info in opened:
            if info.isdir():
                yield _Member(info.name, True, None)
            elif info.isreg() and not info.issparse():
                yield _Member(info.name, False, opened.extractfile(info))
            else:
                raise _refused(archive, f"its member {shown(info.name)} is no plain file")


def _refused(archive: Path, what: str) -> TrainerError:
    return TrainerError(Reason.INVALID_CAPTURE, f"{archive}: {what}: pack the capture again")
