"""Copies checkpoints to an output that is not local, as they appear, beside the training."""

import logging
import os
import threading
from pathlib import Path

from splat_trainer.cli.outputs import forget_checkpoints
from splat_trainer.contract import OutputFile, TrainerError, layout
from splat_trainer.storage import Output
from splat_trainer.train.checkpoint import newest_checkpoint

logger = logging.getLogger(__name__)


class CheckpointMirror:
    """Looks into a folder now and then; a copy that fails is logged, and never ends the run."""

    def __init__(self, folder: Path, output: Output, every: float = 2.0) -> None:
        self._folder = folder
        self._output = output
        self._every = every
        self._copied = ""
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="checkpoint-mirror", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def close(self) -> None:
        """Stop looking; a copy that is under way is waited for."""
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._closing.wait(self._every):
            newest = newest_checkpoint(self._folder)
            if newest is None or newest.name == self._copied:
                continue
            try:
                put_checkpoint(newest, self._output)
                self._copied = newest.name
            except (TrainerError, OSError) as error:
                logger.warning("checkpoint %s is not copied yet: %s", newest.name, error)


def put_checkpoint(path: Path, output: Output) -> OutputFile:
    """Put a checkpoint into the output, then remove the older ones there.

    A second name keeps the file for as long as the copy takes: training removes it as soon as
    there is a newer one.
    """
    name = f"{layout.CHECKPOINTS}/{path.name}"
    held = path.with_name(f".{path.name}.held")
    held.unlink(missing_ok=True)
    os.link(path, held)
    try:
        file = output.put(held, name, "checkpoint")
    finally:
        held.unlink(missing_ok=True)
    forget_checkpoints(output, keep=name)
    return file
