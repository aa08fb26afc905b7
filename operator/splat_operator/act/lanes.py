"""Turns at the API server: what somebody waits for goes first, and news go last.

Everything that the operator writes shares one small number of requests at once: more would only
wait in the server, where nobody knows what is urgent.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator
from enum import IntEnum

AT_ONCE = 32


class Lane(IntEnum):
    """What a request is for, the most urgent first."""

    JOB = 0
    """A GPU may be waiting for it."""
    STATUS = 1
    PROGRESS = 2
    EVENT = 3


_SURE = {Lane.JOB: AT_ONCE, Lane.STATUS: 2, Lane.PROGRESS: 2, Lane.EVENT: 0}
"""So many of each may be under way whatever the others do. News may be lost; the rest may not."""
_MOST = {Lane.JOB: AT_ONCE, Lane.STATUS: 16, Lane.PROGRESS: 16, Lane.EVENT: 2}


_PRESSING = 6
"""Where so many that are more urgent are under way or wait, the server is behind: a lane has then
what is sure to it, or the server would share itself among all alike."""


class Lanes:
    """Gives turns, the most urgent lane's first where not all can have one."""

    def __init__(self) -> None:
        self._under_way = dict.fromkeys(Lane, 0)
        self._waiting: dict[Lane, deque[asyncio.Future[None]]] = {lane: deque() for lane in Lane}

    @contextlib.asynccontextmanager
    async def turn(self, lane: Lane) -> AsyncIterator[None]:
        """Wait for a turn, and have it until the block ends."""
        if self._waiting[lane] or not self._free(lane):
            turn = asyncio.get_running_loop().create_future()
            self._waiting[lane].append(turn)
            try:
                await turn
            except asyncio.CancelledError:
                if not turn.cancelled():  # it was given in the same moment
                    self._end(lane)
                elif turn in self._waiting[lane]:
                    self._waiting[lane].remove(turn)
                raise
        else:
            self._under_way[lane] += 1
        try:
            yield
        finally:
            self._end(lane)

    def _free(self, lane: Lane) -> bool:
        under_way = self._under_way[lane]
        if under_way < _SURE[lane]:
            return True
        if under_way >= _MOST[lane] or sum(self._under_way.values()) >= AT_ONCE:
            return False
        urgent = (self._under_way[one] + len(self._waiting[one]) for one in Lane if one < lane)
        return sum(urgent) < _PRESSING

    def _end(self, lane: Lane) -> None:
        self._under_way[lane] -= 1
        for other in Lane:
            waiting = self._waiting[other]
            while waiting and self._free(other):
                turn = waiting.popleft()
                if not turn.done():
                    self._under_way[other] += 1
                    turn.set_result(None)
