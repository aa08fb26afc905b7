"""How this package tells failures of storage apart: by whether and how they can be mended."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from splat_trainer.contract import Reason, TrainerError

_DENIED = {errno.EACCES, errno.EPERM, errno.EROFS}
_WRONG_PLACE = {
    *(errno.EEXIST, errno.EINVAL, errno.EISDIR),
    *(errno.ELOOP, errno.ENAMETOOLONG, errno.ENOTDIR, errno.ENOENT),
}
_TAKING = ("read", "unpack")
"""Doing this, what is not there is the capture's; doing anything else, the place is wrong."""


@contextmanager
def local_faults(doing: str, path: Path) -> Iterator[None]:
    """Turn what the system answers inside into a TrainerError of one line."""
    try:
        yield
    except OSError as error:
        raise local_fault(error, doing, path) from error


def local_fault(error: OSError, doing: str, path: Path) -> TrainerError:
    """Say what the system answered when we were `doing` (a verb: "write") something to `path`."""
    text = f"cannot {doing} {path}: {error.strerror or error}"
    if error.errno in _DENIED:
        return TrainerError(
            Reason.STORAGE_DENIED,
            f"{text}: let user {os.geteuid()} {doing} it, or name another place",
        )
    if error.errno == errno.ENOENT and doing in _TAKING:
        return TrainerError(Reason.CAPTURE_NOT_FOUND, text)
    if error.errno in _WRONG_PLACE:
        return TrainerError(Reason.INVALID_CONFIGURATION, f"{text}: name another place")
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return TrainerError(Reason.STORAGE_UNAVAILABLE, f"{text}: free space there, then try again")
    return TrainerError(Reason.STORAGE_UNAVAILABLE, f"{text}: try again")
