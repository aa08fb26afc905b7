"""Puts checkpoints where they are kept as they appear, beside the training."""

import logging
import threading
from collections.abc import Callable

from splat_trainer.cli.checkpoints import Checkpoints
from splat_trainer.contract import CheckpointRef, TrainerError
from splat_trainer.train.checkpoint_files import newest_checkpoint, step_of

logger = logging.getLogger(__name__)


class CheckpointMirror:
    """Looks for new ones now and then; a copy that fails is logged, and never ends the run."""

    def __init__(
        self,
        checkpoints: Checkpoints,
        copied: Callable[[CheckpointRef], object],
        every: float = 2.0,
    ) -> None:
        """`copied` is told of each that has arrived; `every` is in seconds."""
        self._checkpoints = checkpoints
        self._tell = copied
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
            newest = newest_checkpoint(self._checkpoints.folder)
            if newest is None or newest.name == self._copied:
                continue
            try:
                uri = self._checkpoints.put(newest)
            except (TrainerError, OSError) as error:
                logger.warning("checkpoint %s is not copied yet: %s", newest.name, error)
                continue
            self._copied = newest.name
            self._tell(CheckpointRef(iteration=step_of(newest), uri=uri))
