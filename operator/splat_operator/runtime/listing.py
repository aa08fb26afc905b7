"""Whether everything that was there at the start has come into the store.

kopf's own way is an index on each resource, which holds all event handlers back until each object
has been indexed. It wakes every object's worker for each object that is done, so that the time
grows with the square of their number: with 10,000 trainings it took minutes.
"""

import asyncio
import time
from collections.abc import Callable

SETTLE_SECONDS = 1.0
"""Listed objects wait in kopf's queues for their turn, one after the other and for nothing else:
when none has come for so long, they have all come."""
_POLL_SECONDS = 0.1


class Listing:
    """Is told of each object that a list brings; complete when all lists are, once and for all."""

    def __init__(self, all_listed: Callable[[], bool], settle: float = SETTLE_SECONDS) -> None:
        """`all_listed` says whether every list has ended: a watch is opened only after it."""
        self._all_listed = all_listed
        self._settle = settle
        self._last: float | None = None
        self._complete = False

    def brought(self) -> None:
        """A listed object has come into the store."""
        self._last = time.monotonic()

    @property
    def complete(self) -> bool:
        """Whether decisions can be made from a full store."""
        if not self._complete and self._all_listed():
            if self._last is None:
                self._last = time.monotonic()
            self._complete = time.monotonic() - self._last >= self._settle
        return self._complete

    async def wait(self) -> None:
        """Wait until it is complete."""
        while not self.complete:
            await asyncio.sleep(_POLL_SECONDS)
