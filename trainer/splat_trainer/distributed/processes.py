"""Starts the ranks of a training, watches them, and ends them all when one ends.

Whoever does this is none of them and never waits for a GPU: a rank whose peer is gone waits in a
kernel that does not end, and in calls into gsplat that hold Python's lock meanwhile, so it could
neither notice nor tell.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal, Protocol, Self

from splat_trainer.contract import Outcome, ResultDocument, TrainerError, environment
from splat_trainer.distributed.child import stop_signals_blocked
from splat_trainer.distributed.rank import Rank, failure_told, leader_is_ending
from splat_trainer.distributed.verdict import failure_of, lost_without_a_word, memory_kills

_LOOK_SECONDS = 0.05
_ALONE_SECONDS = 10.0
"""How long rank 0 may take to notice that another is gone."""

_ENDING_SECONDS = 100.0
"""How long it may then take to put its things in order: to send a checkpoint to an object store."""


class StopRequests(Protocol):
    """Whether this process was asked to stop."""

    def requested(self) -> bool:
        """Whether it was."""

    @property
    def signal_name(self) -> str:
        """By which signal, such as SIGTERM."""


@dataclass(frozen=True)
class Program:
    """What each rank runs: a command that takes `--rank`, and the environment.

    SIGTERM and SIGINT are blocked where it begins: it lets them through when it can answer them.
    """

    leader: Sequence[str]
    follower: Sequence[str]
    environ: Mapping[str, str]


class RankProcesses:
    """One process for each rank, from `with` to the end of its block, which ends them all."""

    def __init__(
        self, program: Program, *, size: int, device: Literal["cuda", "cpu"], folder: Path
    ) -> None:
        self._folder = folder
        self._memory_kills = memory_kills()
        scene = os.memfd_create("splat-trainer-scene")
        ways = [os.pipe() for _ in range(size - 1)]
        ends = [tuple(into for _, into in ways), *((out,) for out, _ in ways)]
        self._ranks = [
            Rank(rank, size, device, folder, scene, pipes, os.getpid())
            for rank, pipes in enumerate(ends)
        ]
        self._processes: list[subprocess.Popen[bytes]] = []
        try:
            for rank in self._ranks:
                self._processes.append(_start(program, rank))
        except BaseException:
            self.close()
            raise
        finally:
            for descriptor in (scene, *(end for way in ways for end in way)):
                os.close(descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Kill what still runs: nothing that a rank holds is worth waiting for."""
        for process in self._processes:
            process.kill()
        for process in self._processes:
            process.wait()

    def wait(self, stop: StopRequests) -> int:
        """Wait for rank 0's end and give its exit code; it has then told all there is to tell.

        A request to stop is passed on to rank 0. When another rank fails, rank 0 is told why and
        gets time to say so itself.

        Raises:
            TrainerError: what ended a rank, where rank 0 could not tell.
        """
        leader = self._processes[0]
        asked = False
        failure: TrainerError | None = None
        failed_at: float | None = None
        while (code := leader.poll()) is None:
            if stop.requested() and not asked:
                asked = True
                leader.send_signal(signal.Signals[stop.signal_name])
            if failure is None:
                failed, failure = self._followers_failure()
                if failed and failed_at is None:
                    failed_at = time.monotonic()
                if failure is not None:
                    self._end_followers(failure)
            if failed_at is not None and time.monotonic() - failed_at > self._patience():
                raise failure or lost_without_a_word()
            time.sleep(_LOOK_SECONDS)
        if code < 0:
            raise failure or self._failure(0, code) or lost_without_a_word()
        return code

    def _followers_failure(self) -> tuple[bool, TrainerError | None]:
        """Whether a follower has failed, and why, where that is known already."""
        failed = False
        for number, process in enumerate(self._processes[1:], start=1):
            code = process.poll()
            if code:
                failed = True
                failure = self._failure(number, code)
                if failure is not None:
                    return True, failure
        return failed, None

    def _failure(self, number: int, code: int) -> TrainerError | None:
        killed = memory_kills() > self._memory_kills
        return failure_of(self._ranks[number], code, killed_for_memory=killed)

    def _end_followers(self, failure: TrainerError) -> None:
        """Leave word for rank 0, then break off what it may be waiting for."""
        document = ResultDocument(
            outcome=Outcome.FAILED,
            exit_code=failure.exit_code,
            reason=failure.reason,
            message=failure.message,
        )
        told = failure_told(self._folder)
        part = told.with_suffix(".part")
        part.write_text(document.to_json(), encoding="utf-8")
        part.replace(told)
        for process in self._processes[1:]:
            process.kill()

    def _patience(self) -> float:
        ending = leader_is_ending(self._folder).exists()
        return _ENDING_SECONDS if ending else _ALONE_SECONDS


def _start(program: Program, rank: Rank) -> subprocess.Popen[bytes]:
    command = program.follower if rank.rank else program.leader
    environ = dict(program.environ)
    if rank.rank:
        environ.pop(environment.RESULT_PATH, None)  # how the run ends is rank 0's to tell
    with stop_signals_blocked():
        return subprocess.Popen(
            [*command, "--rank", rank.to_json()],
            stdin=subprocess.DEVNULL,
            # Standard output is rank 0's: it may be a stream of JSON lines.
            stdout=sys.stderr.fileno() if rank.rank else None,
            env=environ,
            pass_fds=(rank.scene, *rank.pipes),
            start_new_session=True,  # Ctrl-C is for this process alone, which passes it on
        )
