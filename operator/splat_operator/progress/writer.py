"""Reports to status writes: each training's newest, at its turn, and only where it says more."""

import asyncio
import logging
import math
from collections import OrderedDict
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
_GRACE_SECONDS = 0.5
"""Clocks differ and networks take their time: a little early is at its turn."""
_OVERDUE_SECONDS = 5.0
"""What came before its turn gives way to the report that comes at it; so long after the turn it
is written all the same, for none may come any more."""
_IDLE = 8
"""Where fewer writes than this are under way, what came before its turn is written at once."""
_LONGEST_SECONDS = 10.0
"""A training whose turn is further off is heard before, lest the server have become faster."""
_FRESH_SECONDS = 1.0
_REPORTS_A_SECOND = 200.0
_FORGET_SECONDS = 600.0
_COMPLAINT_SECONDS = 10.0


@dataclass(frozen=True)
class Target:
    """Whose progress it is."""

    namespace: str
    name: str
    uid: str


Report = Mapping[str, Any]
"""What a status says by a trainer's word: `progress`, and `checkpoint` where there is one."""

Write = Callable[[str, str, str, Report], Awaitable[None]]
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
    newest: Report | None = None
    """The report that is to be written; None where there is none."""
    stage: object = None
    urgent: bool = False
    came_at: float = 0.0
    due: float = 0.0
    ready_at: float = 0.0
    """When it came, when it may be written, and when nothing but other writes held it up."""
    began_at: float = float("-inf")
    """When its last write began."""
    shown: Report = field(default_factory=dict)
    shown_at: float = float("-inf")
    timer: asyncio.TimerHandle | None = None
    writing: bool = False


class ProgressWriter:
    """Keeps one report for each training and writes it when its turn comes.

    A new stage goes before all others and need not wait for its turn; the rest are written in the
    order in which they came. No training is written more than once in `least` seconds.
    """

    def __init__(self, write: Write, least: float = LEAST_SECONDS, written: Tell = _nobody) -> None:
        """`write` takes namespace, name, uid and a report.

        `written` is told the age of each report, in seconds, when the API server has taken it.
        """
        self._write = write
        self._least = least
        self._written = written
        self._pace = Pace(least)
        self._lines: dict[Target, _Line] = {}
        self._first: OrderedDict[Target, _Line] = OrderedDict()
        self._others: OrderedDict[Target, _Line] = OrderedDict()
        self._held: OrderedDict[Target, _Line] = OrderedDict()
        self._tasks: set[asyncio.Task[None]] = set()
        self._tidied_at = float("-inf")
        self._complained_at = float("-inf")

    def offer(self, target: Target, report: Report) -> float:
        """Take a report; one that has not been written yet gives way to it.

        Gives in how many seconds the training's next report can be written when it comes.
        """
        now = _now()
        line = self._lines.get(target)
        if line is None:
            self._tidy(now)
            line = self._lines[target] = _Line()
        waits, line.newest, line.came_at = line.newest is not None, report, now
        stage = report["progress"].get("stage")
        if stage != line.stage:
            line.stage, line.urgent = stage, True
        # One that is queued stays in its place: what is written there is the newest.
        if not self._queued(target):
            due = now if line.urgent else line.turn + _OVERDUE_SECONDS
            if now >= line.turn - _GRACE_SECONDS:
                due, line.turn = now, self._pace.turn(now)
            line.due = min(line.due, due) if waits else due
        self._plan(target, line, now)
        self._start()
        longest = max(_LONGEST_SECONDS, len(self._lines) / _REPORTS_A_SECOND)
        after = min(line.turn - now, longest, self._soon(line, now))
        return max(after, _FRESH_SECONDS)

    def _soon(self, line: _Line, now: float) -> float:
        """Give in how many seconds a report that has to wait is to be made anew; else infinity.

        Where the server has become slower than it was when turns were given out, there is a
        queue until they have passed; what waits in it is kept fresh, as far as reports are cheap.
        """
        if line.newest is None or line.due > now or not self._waiting:
            return math.inf
        return max(_FRESH_SECONDS, self._waiting / _REPORTS_A_SECOND)

    @property
    def _waiting(self) -> int:
        return len(self._first) + len(self._others)

    def _queued(self, target: Target) -> bool:
        return target in self._first or target in self._others

    async def close(self) -> None:
        """Stop writing; what is not written is lost, and the next report brings it anew."""
        for line in self._lines.values():
            if line.timer:
                line.timer.cancel()
        self._lines.clear()
        self._first.clear()
        self._others.clear()
        self._held.clear()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _plan(self, target: Target, line: _Line, now: float) -> None:
        """Let the newest report of a training be written when it is due."""
        if self._queued(target):
            if line.urgent and target in self._others:
                del self._others[target]
                self._first[target] = line
            return
        if line.writing:
            return
        if line.timer:
            line.timer.cancel()
        due = max(line.due, line.began_at + self._least)
        self._held.pop(target, None)
        if due > now:
            self._held[target] = line
            line.timer = asyncio.get_running_loop().call_later(due - now, self._queue, target, line)
        else:
            self._queue(target, line)

    def _queue(self, target: Target, line: _Line) -> None:
        if line.timer:
            line.timer.cancel()
        self._held.pop(target, None)
        line.timer, line.ready_at = None, _now()
        (self._first if line.urgent else self._others)[target] = line
        self._start()

    def _start(self) -> None:
        while len(self._tasks) < _IDLE and not self._waiting and self._release():
            pass
        while len(self._tasks) < _WRITES_AT_ONCE and self._waiting:
            target, line = (self._first or self._others).popitem(last=False)
            report, line.newest, line.urgent = line.newest, None, False
            if report is not None and self._says_more(line, report):
                self._begin(target, line, report)

    def _release(self) -> bool:
        """Queue the newest report that waits for its turn; false where none is both new and due."""
        now = _now()
        for target, line in reversed(self._held.items()):
            if line.came_at + self._least < now:
                break
            if line.began_at + self._least <= now:
                self._queue(target, line)
                return True
        return False

    def _says_more(self, line: _Line, report: Report) -> bool:
        failed = line.began_at > line.shown_at
        if failed or _now() - line.shown_at > _SAME_SECONDS:
            return True
        return _undated(report) != _undated(line.shown)

    def _begin(self, target: Target, line: _Line, report: Report) -> None:
        line.writing, line.began_at = True, _now()
        task = asyncio.create_task(
            self._write_one(target, line, report, line.came_at),
            name=f"progress of {target.namespace}/{target.name}",
        )
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._start()

    async def _write_one(self, target: Target, line: _Line, report: Report, came_at: float) -> None:
        try:
            await self._write(target.namespace, target.name, target.uid, report)
            line.shown, line.shown_at = report, _now()
            self._written(line.shown_at - came_at)
        except ApiError as error:
            if not (error.gone or error.conflict):
                self._complain(target, str(error))
        except (aiohttp.ClientError, TimeoutError) as error:
            self._complain(target, f"{type(error).__name__}: {error}")
        finally:
            now = _now()
            line.writing = False
            self._pace.wrote(now, now - line.ready_at, self._waiting)
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


def _undated(report: Report) -> Report:
    return {**report, "progress": {**report.get("progress", {}), "lastUpdated": None}}
