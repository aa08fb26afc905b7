"""Reports to status writes: each training's newest, at its turn, and only where it says more."""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from splat_operator.act import ApiError
from splat_operator.progress.pace import LEAST_SECONDS, Pace

logger = logging.getLogger(__name__)

_WRITES_AT_ONCE = 16
"""More would only make an API server that is behind answer all of them later; whoever waits for
a turn here writes what is newest when it comes."""
_SAME_SECONDS = 30.0
"""So long a report that says what is shown already is not written: then it tells that the trainer
is alive."""
_FORGET_SECONDS = 600.0
_COMPLAINT_SECONDS = 10.0


@dataclass(frozen=True)
class Target:
    """Whose progress it is."""

    namespace: str
    name: str
    uid: str


Write = Callable[[str, str, str, Mapping[str, Any]], Awaitable[None]]
Tell = Callable[[float], None]


def _nobody(seconds: float) -> None:
    """Whom to tell when nobody asked."""


def _now() -> float:
    return asyncio.get_running_loop().time()


@dataclass(slots=True)
class _Line:
    """What is known of one training's reports; times are monotonic seconds."""

    turn: float = float("-inf")
    """When it was told to report next."""
    newest: Mapping[str, Any] | None = None
    """The report that is to be written; None where there is none."""
    stage: object = None
    urgent: bool = False
    came_at: float = 0.0
    due: float = 0.0
    ready_at: float = 0.0
    """When it came, when it may be written, and when nothing but other writes held it up."""
    began_at: float = float("-inf")
    """When its last write began."""
    shown: Mapping[str, Any] = field(default_factory=dict)
    shown_at: float = float("-inf")
    timer: asyncio.TimerHandle | None = None
    queued: bool = False
    writing: bool = False


class ProgressWriter:
    """Keeps one report for each training and writes it when its turn comes.

    A new stage goes before all others and need not wait for its turn; the rest are written in the
    order in which they came. No training is written more than once in `least` seconds.
    """

    def __init__(self, write: Write, least: float = LEAST_SECONDS, written: Tell = _nobody) -> None:
        """`write` takes namespace, name, uid and `status.progress`.

        `written` is told the age of each report, in seconds, when the API server has taken it.
        """
        self._write = write
        self._least = least
        self._written = written
        self._pace = Pace(least)
        self._lines: dict[Target, _Line] = {}
        self._first: deque[Target] = deque()
        self._others: deque[Target] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._tidied_at = float("-inf")
        self._complained_at = float("-inf")

    def offer(self, target: Target, progress: Mapping[str, Any]) -> float:
        """Take a report; one that has not been written yet gives way to it.

        Gives in how many seconds the training's next report can be written when it comes.
        """
        now = _now()
        line = self._lines.get(target)
        if line is None:
            self._tidy(now)
            line = self._lines[target] = _Line()
        waits, line.newest, line.came_at = line.newest, progress, now
        if progress.get("stage") != line.stage:
            line.stage, line.urgent = progress.get("stage"), True
        due = now if line.urgent else line.turn
        # Clocks differ and networks take their time: a little early is at its turn.
        if now >= line.turn - self._least / 2:
            due, line.turn = now, self._pace.turn(now)
        line.due = due if waits is None else min(line.due, due)
        self._plan(target, line, now)
        return line.turn - now

    async def close(self) -> None:
        """Stop writing; what is not written is lost, and the next report brings it anew."""
        for line in self._lines.values():
            if line.timer:
                line.timer.cancel()
        self._lines.clear()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _plan(self, target: Target, line: _Line, now: float) -> None:
        """Let the newest report of a training be written when it is due."""
        if line.writing or (line.queued and not line.urgent):
            return
        if line.timer:
            line.timer.cancel()
        due = max(line.due, line.began_at + self._least)
        if due > now:
            line.timer = asyncio.get_running_loop().call_later(due - now, self._queue, target, line)
        else:
            self._queue(target, line)

    def _queue(self, target: Target, line: _Line) -> None:
        line.timer = None
        if not line.queued:
            line.ready_at = _now()
        line.queued = True
        (self._first if line.urgent else self._others).append(target)
        self._start()

    def _start(self) -> None:
        while len(self._tasks) < _WRITES_AT_ONCE and (self._first or self._others):
            target = (self._first or self._others).popleft()
            line = self._lines.get(target)
            # One that became urgent stands in both queues.
            if line is None or not line.queued or line.newest is None:
                continue
            line.queued = line.urgent = False
            progress, line.newest = line.newest, None
            if self._says_more(line, progress):
                self._begin(target, line, progress)

    def _says_more(self, line: _Line, progress: Mapping[str, Any]) -> bool:
        failed = line.began_at > line.shown_at
        if failed or _now() - line.shown_at > _SAME_SECONDS:
            return True
        return {**progress, "lastUpdated": None} != {**line.shown, "lastUpdated": None}

    def _begin(self, target: Target, line: _Line, progress: Mapping[str, Any]) -> None:
        line.writing, line.began_at = True, _now()
        task = asyncio.create_task(
            self._write_one(target, line, progress, line.came_at),
            name=f"progress of {target.namespace}/{target.name}",
        )
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._start()

    async def _write_one(
        self, target: Target, line: _Line, progress: Mapping[str, Any], came_at: float
    ) -> None:
        try:
            await self._write(target.namespace, target.name, target.uid, progress)
            line.shown, line.shown_at = progress, _now()
            self._written(line.shown_at - came_at)
        except ApiError as error:
            if not (error.gone or error.conflict):
                self._complain(target, str(error))
        except (aiohttp.ClientError, TimeoutError) as error:
            self._complain(target, f"{type(error).__name__}: {error}")
        finally:
            now = _now()
            line.writing = False
            self._pace.wrote(now, now - line.ready_at, len(self._first) + len(self._others))
            if line.newest is not None and self._lines.get(target) is line:
                self._plan(target, line, now)

    def _complain(self, target: Target, why: str) -> None:
        """Once for all: where one cannot be written, hundreds cannot."""
        now = _now()
        if now - self._complained_at >= _COMPLAINT_SECONDS:
            self._complained_at = now
            logger.warning(
                "progress of %s/%s is not written: %s", target.namespace, target.name, why
            )

    def _tidy(self, now: float) -> None:
        """Let go of trainings that have not reported for long."""
        if now - self._tidied_at < _FORGET_SECONDS:
            return
        self._tidied_at = now
        self._lines = {
            target: line
            for target, line in self._lines.items()
            if line.newest or line.writing or now - max(line.came_at, line.turn) < _FORGET_SECONDS
        }
