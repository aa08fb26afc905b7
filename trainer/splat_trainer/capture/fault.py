"""How this package says what is wrong with a capture: one line on what, where, what to do."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from splat_trainer.contract import Reason, TrainerError
from splat_trainer.contract.failure import shown
from splat_trainer.storage.fault import local_fault

_NO_SUCH_FILE = {
    errno.EINVAL,
    errno.EISDIR,
    errno.ELOOP,
    errno.ENAMETOOLONG,
    errno.ENOTDIR,
    errno.ENXIO,
}


def invalid(message: str) -> TrainerError:
    """Build the error for a capture that is there but wrong (exit code 65)."""
    return TrainerError(Reason.INVALID_CAPTURE, message)


class UndecodableError(TrainerError):
    """A photo that cannot be decoded: a training can go on without it, as without an absent one."""

    def __init__(self, message: str) -> None:
        super().__init__(Reason.INVALID_CAPTURE, message)


def missing(message: str) -> TrainerError:
    """Build the error for a capture, or a part that it names, that is not there (66)."""
    return TrainerError(Reason.CAPTURE_NOT_FOUND, message)


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn what the system answers into whose fault it is: the capture's, or the storage's."""
    try:
        yield
    except FileNotFoundError as error:
        raise missing(f"{path} is not there") from error
    except OSError as error:
        where = error.filename if isinstance(error.filename, str) else str(path)
        if error.errno in _NO_SUCH_FILE:
            named = shown(where) if error.errno == errno.ENAMETOOLONG else where
            raise invalid(f"{named} cannot be read: {error.strerror}") from error
        raise local_fault(error, "read", Path(where)) from error
