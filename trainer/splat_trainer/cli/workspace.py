"""The folders of a run: where it works, and where temporary files go."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from splat_trainer.contract import Reason, TrainerError
from splat_trainer.contract.failure import shown
from splat_trainer.storage.location import parse_location
from splat_trainer.storage.origin import faults_named_by_origin


@dataclass(frozen=True)
class Workspace:
    """`scratch` is gone after the run; `work` is where results are made.

    `work` is the output itself where that is a local folder, so that nothing is written twice,
    else a folder in `scratch`; `local` tells which.
    """

    scratch: Path
    work: Path
    local: bool


def temporary_folder() -> Path:
    """Give the folder for temporary files.

    Python takes another without a word where TMPDIR names one that cannot be written: a volume
    that was not mounted would be found out when the root's is full.
    """
    named = os.environ.get("TMPDIR", "")
    try:
        with tempfile.TemporaryFile(dir=named or None):
            return Path(named).absolute() if named else Path(tempfile.gettempdir())
    except OSError as error:
        why = error.strerror or error
        if named:
            raise TrainerError(
                Reason.INVALID_CONFIGURATION,
                f"TMPDIR is {shown(named)}, where no temporary files can be written ({why}): set "
                "it to a folder that is there and can be written, or not at all",
            ) from error
        raise TrainerError(
            Reason.STORAGE_DENIED,
            f"no folder for temporary files ({why}): set TMPDIR to one that can be written",
        ) from error


@contextmanager
def open_scratch() -> Iterator[Path]:
    """Make a folder for temporary files, gone after the block; TMPDIR says where.

    What goes wrong inside with a capture that was fetched into it is told of where it came from.
    """
    # A download that a signal left behind may be writing into it still.
    temporary = tempfile.TemporaryDirectory(
        prefix="splat-trainer-", dir=temporary_folder(), ignore_cleanup_errors=True
    )
    with temporary as name, faults_named_by_origin():
        yield Path(name)


@contextmanager
def open_workspace(output: str) -> Iterator[Workspace]:
    """Make the folders for a run that writes to `output`."""
    location = parse_location(output)
    with open_scratch() as scratch:
        if isinstance(location, Path):
            yield Workspace(scratch, location, local=True)
        else:
            work = scratch / "work"
            work.mkdir()
            yield Workspace(scratch, work, local=False)
