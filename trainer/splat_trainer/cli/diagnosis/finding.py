"""One thing that was looked at."""

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """What a finding means for a training."""

    OK = "ok"
    NOTE = "note"  # training works, though perhaps not as wished
    FAULT = "fault"  # training cannot work until this is put right


@dataclass(frozen=True)
class Finding:
    """A thing that was looked at, and what to do where it is not as it should be."""

    name: str
    verdict: Verdict
    detail: str
