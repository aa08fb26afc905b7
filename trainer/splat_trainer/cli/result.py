"""The result document of a run: gathered while it goes on, written once at its end."""

import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from splat_trainer.contract import ExitCode, Outcome, Reason, ResultDocument, TrainerError

logger = logging.getLogger(__name__)

Destination = Callable[[str], object]
"""Takes the document as JSON."""


class RunRecord:
    """What is known of a run so far, and who is to be told at its end.

    `started` is the time of `time.time()` at which the process began.
    """

    def __init__(self, started: float) -> None:
        self.started = started
        self._known: dict[str, Any] = {}
        self._destinations: list[Destination] = []

    def note(self, **known: Any) -> None:
        """Remember fields of the result document."""
        self._known |= known

    def send_to(self, destination: Destination) -> None:
        """Have the document written to one more place, when the run ends."""
        self._destinations.append(destination)

    def seconds(self) -> float:
        """Seconds since the process began."""
        return round(time.time() - self.started, 3)

    def succeeded(self, message: str) -> ResultDocument:
        """The document of a run that did all it was asked to."""
        return self._document(Outcome.SUCCEEDED, ExitCode.DONE, Reason.TRAINED, message)

    def failed(self, error: TrainerError) -> ResultDocument:
        """The document of a run that a failure or an interruption ended."""
        interrupted = error.reason is Reason.INTERRUPTED
        outcome = Outcome.INTERRUPTED if interrupted else Outcome.FAILED
        return self._document(outcome, error.exit_code, error.reason, error.message)

    def tell(self, document: ResultDocument) -> None:
        """Write the document everywhere; a destination that fails is logged and passed over."""
        for destination in self._destinations:
            try:
                destination(document.to_json())
            except Exception as error:
                logger.warning("the result document could not be written: %s", error)

    def _document(
        self, outcome: Outcome, code: ExitCode, reason: Reason, message: str
    ) -> ResultDocument:
        return ResultDocument(
            outcome=outcome,
            exit_code=code,
            reason=reason,
            message=" ".join(message.split()),
            total_seconds=self.seconds(),
            **self._known,
        )


def write_in_place(path: Path) -> Destination:
    """Write to a file as it stands, never by renaming another over it.

    A pod's termination message is a file that the kubelet mounts: it cannot be replaced.
    """

    def write(text: str) -> None:
        path.write_text(text, encoding="utf-8")

    return write


def write_atomically(path: Path) -> Destination:
    """Write to a file so that a reader sees the old text or the new, never a part."""

    def write(text: str) -> None:
        part = path.with_name(f".{path.name}.{os.getpid()}.part")
        try:
            part.write_text(text, encoding="utf-8")
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)

    return write
