"""One progress document a line: for pipes, files and `kubectl logs`."""

from collections.abc import Callable
from typing import TextIO

from splat_trainer.contract import ProgressDocument


def write_json_lines(stream: TextIO) -> Callable[[ProgressDocument], None]:
    """Give a writer of progress documents to a stream, one a line, each at once."""

    def write(document: ProgressDocument) -> None:
        stream.write(document.model_dump_json(exclude_none=True) + "\n")
        stream.flush()

    return write
