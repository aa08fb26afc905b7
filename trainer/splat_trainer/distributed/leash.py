"""Where all ranks stop: none goes further than rank 0 has allowed.

Rank 0 allows steps ahead of its own, so that nobody waits, and stops allowing them when it is to
stop: the last step that it allowed is then the last that anyone does. Nothing of it goes through
the GPU, and no step waits for it.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection

from splat_trainer.distributed.exchange import PeerLost

_OFTEN, _SELDOM = 0.25, 1.0
"""Seconds between two permissions: they cover more steps than before when they come so often,
and fewer when they come so seldom."""

_MOST = 64
"""Steps that one permission covers at most: how late a stop may come, twice."""


@dataclass(frozen=True)
class Until:
    """Go on until `step` views were seen."""

    step: int


@dataclass(frozen=True)
class Stop:
    """Go no further: no more was allowed, and no more will be."""


class Leader:
    """Rank 0's end: a step goes on by `stride` views at most, and all is done after `last`."""

    def __init__(
        self,
        followers: Sequence[Connection],
        *,
        stride: int,
        last: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._followers = followers
        self._stride = stride
        self._last = last
        self._clock = clock
        self._limit = 0
        self._steps = 1
        self._allowed_at = clock()

    def stops(self, step: int, *, wanted: bool) -> bool:
        """Whether to stop after `step` views, as is `wanted`; else the others may go on."""
        if wanted and step >= self._limit:
            self._tell(Stop())
            return True
        if not wanted and self._limit < self._last and self._limit - step <= self._ahead():
            self._pace()
            self._limit = min(self._last, step + 2 * self._ahead())
            self._tell(Until(self._limit))
        return False

    def _ahead(self) -> int:
        return self._steps * self._stride

    def _pace(self) -> None:
        now = self._clock()
        if now - self._allowed_at < _OFTEN:
            self._steps = min(_MOST, self._steps * 2)
        elif now - self._allowed_at > _SELDOM:
            self._steps = max(1, self._steps // 2)
        self._allowed_at = now

    def _tell(self, word: Until | Stop) -> None:
        for follower in self._followers:
            try:
                follower.send(word)
            except OSError as error:
                raise PeerLost("a follower no longer listens") from error


class Follower:
    """The other ranks' end."""

    def __init__(self, leader: Connection, *, last: int) -> None:
        self._leader = leader
        self._last = last
        self._limit = 0

    def stops(self, step: int, *, wanted: bool) -> bool:
        """Whether to stop after `step` views; waits where rank 0 has not decided yet.

        What is `wanted` here counts for nothing.
        """
        while step >= self._limit and step < self._last:
            match self._heard():
                case Until(limit):
                    self._limit = limit
                case _:
                    return True
        return False

    def _heard(self) -> object:
        try:
            return self._leader.recv()
        except (EOFError, OSError) as error:
            raise PeerLost("rank 0 is gone") from error
