"""The one exception that the trainer raises on purpose: it carries its own exit code."""

from splat_trainer.contract.exit_codes import ExitCode
from splat_trainer.contract.result import Reason

_EXIT_CODES = {
    Reason.TRAINED: ExitCode.DONE,
    Reason.INTERRUPTED: ExitCode.INTERRUPTED,
    Reason.INVALID_CAPTURE: ExitCode.DATA,
    Reason.CAPTURE_NOT_FOUND: ExitCode.NOT_FOUND,
    Reason.INVALID_CONFIGURATION: ExitCode.CONFIG,
    Reason.STORAGE_UNAVAILABLE: ExitCode.STORAGE,
    Reason.STORAGE_DENIED: ExitCode.CONFIG,
    Reason.OUT_OF_GPU_MEMORY: ExitCode.CONFIG,
    Reason.OUT_OF_MEMORY: ExitCode.CONFIG,
    Reason.NO_GPU: ExitCode.CONFIG,
    Reason.KERNELS_NOT_FOUND: ExitCode.CONFIG,
    Reason.KERNELS_NOT_COMPILED: ExitCode.CONFIG,
    Reason.INTERNAL_ERROR: ExitCode.BUG,
}

_SHOWN_LENGTH = 80


def shown(text: str) -> str:
    """Quote text that others wrote for a message: on one line, printable, not endless."""
    cut = text if len(text) <= _SHOWN_LENGTH else text[: _SHOWN_LENGTH - 1] + "…"
    quoted = repr(cut)
    return quoted if quoted.isprintable() else ascii(cut)


class TrainerError(Exception):
    """A failure with a reason; its text is one line on what, where and what to do."""

    def __init__(self, reason: Reason, message: str) -> None:
        # Names of files may hold any character: one line it stays, and encodable.
        line = "".join(
            c if c.isprintable() else c.encode("unicode_escape").decode() for c in message
        )
        super().__init__(line)
        self.reason = reason
        self.message = line

    @property
    def exit_code(self) -> ExitCode:
        """The exit code that tells whose fault this is."""
        return _EXIT_CODES[self.reason]
