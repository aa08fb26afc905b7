"""Holds progress back so that it is written at most once in so many seconds."""

import time
from collections.abc import Callable

from splat_trainer.contract import ProgressDocument


class Throttled:
    """A reporter that writes the first document of each stage, and the rest now and then.

    `write` gets a document when a stage begins, once in `every` seconds after that, and what
    was held back when the next stage begins and at the end.
    """

    def __init__(
        self,
        write: Callable[[ProgressDocument], None],
        every: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._write = write
        self._every = every
        self._clock = clock
        self._wrote_at = float("-inf")
        self._held: ProgressDocument | None = None

    def tell(self, document: ProgressDocument, stage_began: bool) -> None:
        """Write the document, or hold it back."""
        if stage_began:
            self.close()
        self._held = document
        if stage_began or self._clock() - self._wrote_at >= self._every:
            self.close()

    def close(self) -> None:
        """Write what was held back."""
        held, self._held = self._held, None
        if held:
            self._wrote_at = self._clock()
            self._write(held)
