"""The newest progress document in a file, always whole."""

from collections.abc import Callable
from pathlib import Path

from splat_trainer.cli.result import write_atomically
from splat_trainer.contract import ProgressDocument


def write_progress_file(path: Path) -> Callable[[ProgressDocument], None]:
    """Give a writer that replaces `path` with each document."""
    replace = write_atomically(path)

    def write(document: ProgressDocument) -> None:
        replace(document.model_dump_json(exclude_none=True) + "\n")

    return write
