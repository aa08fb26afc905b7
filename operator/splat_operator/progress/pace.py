"""When each trainer is to report next: as often as its report can be written at once, no oftener.

A report that waits in a queue shows what has been. So turns are given out, evenly spaced, at the
rate at which the API server takes writes now, and a report that comes at its turn is written when
it comes. Turns are those of a virtual queue (the generic cell rate algorithm, ITU-T I.371). Where
writes are late, as many were asked for as the server takes: what it took is the rate from now on,
and new turns begin after all that waits and all that is promised. Where they are not, the rate
grows, more carefully near that at which they were late last (as CUBIC, RFC 9438).

Pure: times go in as monotonic seconds.
"""

import heapq
import math

LEAST_SECONDS = 2.0
"""No training is written oftener."""
_FIRST_RATE = 50.0
_LEAST_RATE, _MOST_RATE = 5.0, 500.0
_LATE, _EARLY = 0.5, 0.3
"""Mean seconds from when reports could be written until they are: above the first the rate falls,
below the second it grows."""
_WINDOW, _STALE = 1.0, 5.0
_ROOM, _SHOWN = 0.9, 0.8
"""Of what the server takes at its limit, and of what it took without being late, so much is asked
for."""
_GROWTH, _CAREFUL_GROWTH = 0.4, 0.06
"""Growth of the rate, as an exponent, from when turns are given out until they come: before, its
effect is not seen."""


class Pace:
    """Gives out turns, and learns from each write how many there may be."""

    def __init__(self, least: float = LEAST_SECONDS, rate: float = _FIRST_RATE) -> None:
        """`least` is the least time from now to a turn; `rate` is in turns a second."""
        self._least = least
        self._free = float("-inf")
        self._promised: list[float] = []
        self._since = float("-inf")
        self._writes = 0
        self._delays = 0.0
        self._busy_since: float | None = None
        self._busy_writes = 0
        self._late_at = _MOST_RATE
        self.rate = rate

    def turn(self, now: float) -> float:
        """Reserve the next turn that is free; gives its time, which is never soon."""
        turn = max(now + self._least, self._free)
        self._free = turn + 1.0 / self.rate
        heapq.heappush(self._promised, turn)
        return turn

    def wrote(self, now: float, delay: float, waiting: int) -> None:
        """Learn that a write ended, so many seconds after its report could be written.

        `waiting` is how many others can be written now and are not yet.
        """
        if not waiting:
            self._busy_since = None
        elif self._busy_since is None:
            self._busy_since, self._busy_writes = now, 0
        else:
            self._busy_writes += 1
        elapsed = now - self._since
        if elapsed > _STALE:  # the first for long: nothing to compare with
            self._since, self._writes, self._delays = now, 0, 0.0
            return
        self._writes += 1
        self._delays += delay
        if elapsed < _WINDOW:
            return
        mean, written = self._delays / self._writes, self._writes / elapsed
        busy = 0.0 if self._busy_since is None else now - self._busy_since
        self._since, self._writes, self._delays = now, 0, 0.0
        while self._promised and self._promised[0] <= now:
            heapq.heappop(self._promised)
        if mean > _LATE and busy >= _WINDOW:
            self._late_at = min(max(_LEAST_RATE, self._busy_writes / busy), _MOST_RATE)
            self._busy_since, self._busy_writes = now, 0
            self.rate = _ROOM * self._late_at
            self._free = max(self._free, now + (waiting + len(self._promised)) / self.rate)
        elif mean < _EARLY and not waiting and self._free > now + self._least:
            near = self.rate > 0.8 * self._late_at
            ahead = max(elapsed, self._free - now)
            growth = (_CAREFUL_GROWTH if near else _GROWTH) * elapsed / ahead
            # What was written between turns shows what the server takes as well.
            grown = max(self.rate * math.exp(growth), _SHOWN * written)
            self.rate = min(_MOST_RATE, grown)
            # Turns may have been promised for times when the server was thought slower.
            self._free = min(self._free, now + len(self._promised) / self.rate)
