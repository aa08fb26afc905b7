"""Why a rank's process ended, from its exit code and what it left."""

import signal
from pathlib import Path

from pydantic import ValidationError

from splat_trainer.contract import Reason, ResultDocument, TrainerError
from splat_trainer.distributed.rank import PEER_LOST, Rank

_EVENTS = Path("/sys/fs/cgroup/memory.events")


def failure_of(rank: Rank, code: int, *, killed_for_memory: bool) -> TrainerError | None:
    """Say what ended a rank with this exit code, a signal's number where it is negative.

    None where it ended well, or only because another rank did. `killed_for_memory` is whether
    the kernel has killed any process of this container since it began to train.
    """
    if code == 0:
        return None
    who = f"rank {rank.rank} of {rank.size}"
    report = _report(rank.report)
    if report is not None:
        return TrainerError(report.reason, f"{report.message} ({who})")
    if code == PEER_LOST:
        return None
    return why_ended(who, code, killed_for_memory=killed_for_memory)


def why_ended(who: str, code: int, *, killed_for_memory: bool) -> TrainerError:
    """Say what ended a process that has left no word, of which `who` says what it is."""
    if code == -signal.SIGKILL and killed_for_memory:
        return TrainerError(
            Reason.OUT_OF_MEMORY,
            f"out of memory: the kernel killed {who}: lower --max-side or --max-gaussians, or "
            "give the run more memory",
        )
    how = f"by {signal.Signals(-code).name}" if code < 0 else f"with code {code}"
    return TrainerError(
        Reason.INTERNAL_ERROR,
        f"{who} was ended {how} and could not say why: its last words, if any, are in the log",
    )


def lost_without_a_word() -> TrainerError:
    """What to say where ranks have lost each other and none says why."""
    return TrainerError(
        Reason.INTERNAL_ERROR, "the ranks lost touch with each other: run it again, or on one GPU"
    )


def memory_kills(events: Path = _EVENTS) -> int:
    """How many processes of this container the kernel has killed for its memory (cgroup v2)."""
    try:
        lines = events.read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith("oom_kill "))


def _report(path: Path) -> ResultDocument | None:
    try:
        return ResultDocument.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, ValidationError):
        return None
