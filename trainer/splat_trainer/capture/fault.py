"""How this package says what is wrong with a capture: one line on what, where, what to do."""

from splat_trainer.contract import Reason, TrainerError


def invalid(message: str) -> TrainerError:
    """Build the error for a capture that is there but wrong (exit code 65)."""
    return TrainerError(Reason.INVALID_CAPTURE, message)


def missing(message: str) -> TrainerError:
    """Build the error for a capture, or a part that it names, that is not there (66)."""
    return TrainerError(Reason.CAPTURE_NOT_FOUND, message)
