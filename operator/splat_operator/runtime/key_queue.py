"""One reconcile of a key at a time, however many events ask for it; failures wait and return.

Two lanes, each with workers of its own: a training that has no Job yet waits for no other's
status, because a GPU may be waiting for it, and statuses are told however many Jobs are made.
"""

import asyncio
import heapq
import logging
import random
import time
from collections.abc import Awaitable, Callable

from splat_operator.runtime.store import Key

logger = logging.getLogger(__name__)

_FIRST_BACKOFF = 1.0
_LONGEST_BACKOFF = 300.0
_DOUBLINGS = 16
_OTHERS = 3
"""For so many workers of urgent keys there is one more for the others."""

Reconcile = Callable[[Key], Awaitable[float | None]]
"""Gives in how many seconds to come back though nothing happens; raises to be tried again."""


def _never(key: Key) -> bool:
    """No key is more urgent than another."""
    return False


class KeyQueue:
    """Keys that need a reconcile, and the workers that see to it."""

    def __init__(self, reconcile: Reconcile, urgent: Callable[[Key], bool] = _never) -> None:
        """`urgent` is asked, when a key is added, in which of the lanes it belongs."""
        self._reconcile = reconcile
        self._urgent = urgent
        self._first: asyncio.Queue[Key] = asyncio.Queue()
        self._others: asyncio.Queue[Key] = asyncio.Queue()
        self._waiting: set[Key] = set()
        self._running: set[Key] = set()
        self._again: set[Key] = set()
        self._failures: dict[Key, int] = {}
        self._due: dict[Key, float] = {}
        self._alarm: list[tuple[float, Key]] = []
        self._alarm_changed = asyncio.Event()

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, key: Key) -> None:
        """Ask for a reconcile soon; a key that is being reconciled comes again after it."""
        if key in self._running:
            self._again.add(key)
        elif key not in self._waiting:
            self._waiting.add(key)
            (self._first if self._urgent(key) else self._others).put_nowait(key)

    def add_after(self, key: Key, seconds: float) -> None:
        """Ask for a reconcile later; of several such wishes the earliest counts."""
        due = time.monotonic() + max(0.0, seconds)
        if self._due.get(key, float("inf")) <= due:
            return
        self._due[key] = due
        heapq.heappush(self._alarm, (due, key))
        self._alarm_changed.set()

    async def run(self, workers: int) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._ring(), name="alarm of the queue")
            others = max(1, workers // _OTHERS)
            for lane in [self._first] * workers + [self._others] * others:
                group.create_task(self._work(lane), name="worker of the queue")

    async def _work(self, lane: asyncio.Queue[Key]) -> None:
        while True:
            key = await lane.get()
            self._waiting.discard(key)
            self._running.add(key)
            try:
                await self._one(key)
            finally:
                self._running.discard(key)
                if key in self._again:
                    self._again.discard(key)
                    self.add(key)

    async def _one(self, key: Key) -> None:
        try:
            after = await self._reconcile(key)
        except Exception as error:
            failures = self._failures.get(key, 0)
            self._failures[key] = failures + 1
            # The exponent has an end, too: 2.0**1024 overflows, after some days of refusals.
            delay = min(_LONGEST_BACKOFF, _FIRST_BACKOFF * 2.0 ** min(failures, _DOUBLINGS))
            delay *= random.uniform(0.8, 1.2)  # noqa: S311 - so that not all come back at once
            logger.warning(
                "reconcile failed (%s in a row), again in %.0f s: %s: %s",
                failures + 1,
                delay,
                type(error).__name__,
                error,
                extra={"training": str(key)},
            )
            self.add_after(key, delay)
            return
        self._failures.pop(key, None)
        if after is not None:
            self.add_after(key, after)

    async def _ring(self) -> None:
        while True:
            self._alarm_changed.clear()
            now = time.monotonic()
            while self._alarm and self._alarm[0][0] <= now:
                due, key = heapq.heappop(self._alarm)
                if self._due.get(key) == due:
                    del self._due[key]
                    self.add(key)
            timeout = self._alarm[0][0] - now if self._alarm else None
            try:
                await asyncio.wait_for(self._alarm_changed.wait(), timeout)
            except TimeoutError:
                continue
