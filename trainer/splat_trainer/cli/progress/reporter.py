"""A reporter tells someone about a run; several of them, of which none can hurt the run."""

import logging
from collections.abc import Callable, Sequence
from typing import Protocol

from splat_trainer.contract import PROGRESS_LIMIT_BYTES, CheckpointRef, ProgressDocument, Stage

logger = logging.getLogger(__name__)


class Reporter(Protocol):
    """Tells someone about a run; made for one run and closed at its end."""

    def tell(self, document: ProgressDocument, stage_began: bool) -> None:
        """Where the run is; `stage_began` with the first document of each stage."""

    def close(self) -> None:
        """The run ended: tell what is still untold, and let go of everything."""


class Reporters:
    """A TrainObserver that passes everything on; a reporter that raises is dropped, once logged.

    What is known is carried on from stage to stage, so that no one sees a run go back to step 0
    when it begins to evaluate. `iterations` is what the run is to do.
    """

    def __init__(self, reporters: Sequence[Reporter], iterations: int = 0) -> None:
        self._reporters = list(reporters)
        self._last = ProgressDocument(stage=Stage.FETCHING, iterations=iterations)
        self._checkpoint: CheckpointRef | None = None

    def stage(self, stage: Stage) -> None:
        """A new stage began."""
        self._last = self._last.model_copy(
            update={
                "stage": stage,
                "iterations_per_second": None,
                "eta_seconds": None,
                "bytes_done": None,
                "bytes_total": None,
                "checkpoint": self._checkpoint,
            }
        )
        self._tell(stage_began=True)

    def fetched(self, done: int, total: int) -> None:
        """So many bytes of the capture have come."""
        self._last = self._last.model_copy(update={"bytes_done": done, "bytes_total": total})
        self._tell(stage_began=False)

    def progress(self, document: ProgressDocument) -> None:
        """Where the run is; its stage is the one that began last, whatever the document says."""
        carried = {"stage": self._last.stage, "checkpoint": self._checkpoint}
        self._last = _rounded(document.model_copy(update=carried))
        self._tell(stage_began=False)

    def checkpoint(self, checkpoint: CheckpointRef) -> None:
        """One is safe where checkpoints are kept: every document from the next on tells of it.

        May be called in any thread. An address that is no text, or half as long as a document may
        be, is not told: with it no document would arrive.
        """
        if not checkpoint.uri.isprintable():
            return
        if len(checkpoint.model_dump_json().encode()) <= PROGRESS_LIMIT_BYTES // 2:
            self._checkpoint = checkpoint

    def close(self) -> None:
        """Close every reporter."""
        self._each(lambda reporter: reporter.close())

    def _tell(self, stage_began: bool) -> None:
        document = self._last
        self._each(lambda reporter: reporter.tell(document, stage_began))

    def _each(self, do: Callable[[Reporter], None]) -> None:
        for reporter in tuple(self._reporters):
            try:
                do(reporter)
            except Exception as error:
                self._reporters.remove(reporter)
                logger.warning(
                    "progress is no longer told by %s: %s: %s",
                    type(reporter).__name__,
                    type(error).__name__,
                    error,
                )


def _rounded(document: ProgressDocument) -> ProgressDocument:
    """The document with as many digits as mean something."""
    digits = {"iterations_per_second": 2, "eta_seconds": 1, "loss": 5, "psnr": 3}
    values = {name: getattr(document, name) for name in digits}
    return document.model_copy(
        update={
            name: round(value, digits[name]) if value is not None else None
            for name, value in values.items()
        }
    )
