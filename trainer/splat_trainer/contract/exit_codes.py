"""Exit codes of the trainer: each says whose fault it is and whether trying again helps.

The numbers are those of sysexits.h where it has one for the case.
"""

from enum import IntEnum


class ExitCode(IntEnum):
    """How a run of the trainer ended."""

    DONE = 0
    DATA = 65  # the capture is at fault
    NOT_FOUND = 66  # the capture, or something it names, is not there
    BUG = 70  # the trainer itself is at fault
    STORAGE = 74  # reading or writing storage failed
    INTERRUPTED = 75  # stopped from outside; a checkpoint is saved
    CONFIG = 78  # the configuration is at fault

    @property
    def retry_helps(self) -> bool:
        """Whether the same run, started again, may end better."""
        return self in (ExitCode.STORAGE, ExitCode.INTERRUPTED, ExitCode.BUG)
