"""Brings a capture into a local folder, from wherever it lies."""

import shutil
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock

from splat_trainer.contract import Reason, TrainerError
from splat_trainer.contract.environment import Place
from splat_trainer.contract.failure import shown
from splat_trainer.storage.archive import unpack
from splat_trainer.storage.base import Entry, Storage
from splat_trainer.storage.fault import local_fault, local_faults
from splat_trainer.storage.location import (
    S3Location,
    is_archive,
    parse_location,
    relative_name,
)
from splat_trainer.storage.origin import remember_origin

OnFetched = Callable[[int, int], None]
"""Told how many bytes have come, and of how many; what it raises ends the fetching."""

FILES_AT_ONCE = 8
FILE_LIMIT = 100_000
NOT_NEEDED = (".avi", ".db", ".mov", ".mp4")
"""What often lies in a capture and training never reads: the video, COLMAP's database."""

_CAPTURE_PARTS = {"colmap", "images", "input", "masks", "sparse"}
_LITTER = {"__MACOSX", ".DS_Store", "Thumbs.db"}
_APPLE_DOUBLE = "._"
"""How files begin that macOS packs beside those that have attributes."""


def fetch_capture(
    uri: str,
    scratch: Path,
    *,
    endpoint: str | None = None,
    on_bytes: OnFetched | None = None,
) -> Path:
    """Give a local folder with the capture at `uri`.

    A local folder is used as it is. An archive is unpacked, and what lies on S3 is copied,
    into a new folder below `scratch`, of which `faults_named_by_origin` knows where it is from.
    `endpoint` is the S3 server's address if it is not AWS.
    """
    location = parse_location(uri)
    if isinstance(location, S3Location):
        return _fetch_s3(location, scratch, endpoint, on_bytes)
    with local_faults("read", location):
        if location.is_dir():
            return location
        there = location.exists()
    if not there:
        raise TrainerError(Reason.CAPTURE_NOT_FOUND, f"the capture {location} is not there")
    if not is_archive(location.name):
        raise _no_capture(str(location))
    return _unpacked(location, _new_folder(scratch), str(location))


def _fetch_s3(
    location: S3Location, scratch: Path, endpoint: str | None, on_bytes: OnFetched | None
) -> Path:
    from splat_trainer.storage.s3 import S3Storage  # noqa: PLC0415 - boto3 takes its time

    storage = S3Storage(location, endpoint, Place.DATA)
    entries = _wanted(storage)
    if entries:
        folder = _new_folder(scratch)
        _check_room(entries, folder, str(location))
        download_all(storage, entries, folder, on_bytes)
        remember_origin(folder, str(location))
        return _root(folder)
    above, _, name = location.prefix.rpartition("/")
    single = S3Storage(S3Location(location.bucket, above), endpoint, Place.DATA)
    size = single.size(name) if name else None
    if size is None:
        raise TrainerError(
            Reason.CAPTURE_NOT_FOUND, f"{location} holds no files: check the bucket and the prefix"
        )
    if not is_archive(name):
        raise _no_capture(str(location))
    folder = _new_folder(scratch)
    _check_room([Entry(name, size)], folder, str(location))
    archive = folder / f"archive-{name}"
    download_all(single, [Entry(name, size)], folder, on_bytes, {name: archive})
    remember_origin(archive, str(location))
    unpacked = folder / "capture"
    unpacked.mkdir()
    root = _unpacked(archive, unpacked, str(location))
    archive.unlink()
    return root


def _wanted(storage: Storage) -> list[Entry]:
    entries = []
    for entry in storage.list():
        if entry.name.lower().endswith(NOT_NEEDED):
            continue
        if relative_name(entry.name) is None:
            raise TrainerError(
                Reason.INVALID_CAPTURE,
                f"the object {shown(storage.uri(entry.name))} has a name that leads out of a "
                "folder: rename it",
            )
        entries.append(entry)
        if len(entries) > FILE_LIMIT:
            raise TrainerError(
                Reason.INVALID_CAPTURE,
                f"{storage.uri('')} holds more than {FILE_LIMIT} files: name the capture's own "
                "prefix",
            )
    return entries


def download_all(
    storage: Storage,
    entries: list[Entry],
    folder: Path,
    on_bytes: OnFetched | None,
    targets: dict[str, Path] | None = None,
) -> None:
    """Download `entries` into `folder`, several at once; the first that fails ends all."""
    total, done, lock = sum(entry.size for entry in entries), 0, Lock()
    given_up = False

    def count(more: int) -> None:
        nonlocal done
        if given_up:
            raise _GivenUpError
        with lock:
            done += more
            if on_bytes is not None:
                on_bytes(done, total)

    def download(entry: Entry) -> None:
        target = (targets or {}).get(entry.name) or folder / entry.name.replace("\\", "/")
        storage.download(entry.name, target, count)

    pool = ThreadPoolExecutor(FILES_AT_ONCE)
    waits = False
    try:
        for _ in pool.map(download, entries):
            pass
        waits = True
    except Exception:
        waits = True
        raise
    finally:
        # One failure, or a signal, is enough: the rest is not tried, what is under way ends with
        # its next bytes. Those may not come for minutes, for which a signal does not wait.
        given_up = True
        pool.shutdown(wait=waits, cancel_futures=True)


class _GivenUpError(Exception):
    """Ends a download that nobody waits for any more."""


def _check_room(entries: list[Entry], folder: Path, uri: str) -> None:
    needed, free = sum(entry.size for entry in entries), shutil.disk_usage(folder).free
    if needed > free:
        raise TrainerError(
            Reason.INVALID_CONFIGURATION,
            f"{uri} is {needed >> 20} MiB and {folder} has {free >> 20} MiB free: "
            "give the scratch volume more room",
        )


def _new_folder(scratch: Path) -> Path:
    try:
        scratch.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix="capture-", dir=scratch))
    except OSError as error:
        raise local_fault(error, "write", scratch) from error


def _unpacked(archive: Path, folder: Path, uri: str) -> Path:
    unpack(archive, folder)
    remember_origin(folder, uri)
    return _root(folder)


def _root(folder: Path) -> Path:
    """Step into the one folder that people pack or upload around a capture."""
    inside = [
        path
        for path in folder.iterdir()
        if path.name not in _LITTER and not path.name.startswith(_APPLE_DOUBLE)
    ]
    if len(inside) == 1 and inside[0].is_dir() and inside[0].name not in _CAPTURE_PARTS:
        return _root(inside[0])
    return folder


def _no_capture(uri: str) -> TrainerError:
    return TrainerError(
        Reason.INVALID_CAPTURE,
        f"{uri} is neither a folder nor an archive: name a capture's folder, .zip, .tar or .tar.gz",
    )
