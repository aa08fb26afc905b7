"""How this package says what is wrong with a capture: one line on what, where, what to do."""

from splat_trainer.contract import Reason, TrainerError

_SHOWN_LENGTH = 80


def invalid(message: str) -> TrainerError:
    """Build the error for a capture that is there but wrong (exit code 65)."""
    return TrainerError(Reason.INVALID_CAPTURE, message)


def missing(message: str) -> TrainerError:
    """Build the error for a capture, or a part that it names, that is not there (66)."""
    return TrainerError(Reason.CAPTURE_NOT_FOUND, message)


def shown(text: str) -> str:
    """Quote text from a capture for a message: one line, printable, not endless."""
    cut = text if len(text) <= _SHOWN_LENGTH else text[: _SHOWN_LENGTH - 1] + "…"
    quoted = repr(cut)
    return quoted if quoted.isprintable() else ascii(cut)
