"""Where the copies of captures came from: what is told of a copy names that, for it goes soon."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from splat_trainer.contract import TrainerError

_origins: dict[str, str] = {}
"""By copy; their names are never used again (mkdtemp)."""


def remember_origin(copy: Path, uri: str) -> None:
    """Remember what a file or folder for temporary files was copied or unpacked from."""
    _origins[str(copy)] = uri


def named_by_origin(text: str) -> str:
    """Have a text name what people gave, where it names a copy of that."""
    for copy, uri in _origins.items():
        text = text.replace(copy, uri)
    return text


@contextmanager
def faults_named_by_origin() -> Iterator[None]:
    """Have a TrainerError inside name what people gave, where it names a copy of that."""
    try:
        yield
    except TrainerError as error:
        message = named_by_origin(error.message)
        if message == error.message:
            raise
        raise TrainerError(error.reason, message) from error
