"""Events, posted one after the other behind everything else; under a flood the oldest are lost."""

import asyncio
import logging
from collections import deque
from datetime import UTC, datetime
from typing import Any

import aiohttp

from splat_operator.act import paths
from splat_operator.act.api_client import ApiClient, ApiError
from splat_operator.act.event_body import event_body
from splat_operator.act.lanes import Lane, Lanes
from splat_operator.decide import Event
from splat_operator.world import Training

logger = logging.getLogger(__name__)

_KEPT = 2000
_POSTERS = 2
_LAST_WORDS_SECONDS = 2.0


class News:
    """Tells Events, and keeps nobody waiting for it."""

    def __init__(self, client: ApiClient, lanes: Lanes, instance: str) -> None:
        """`instance` names this process in Events."""
        self._client = client
        self._lanes = lanes
        self._instance = instance
        self._untold: deque[tuple[str, dict[str, Any]]] = deque(maxlen=_KEPT)
        self._posters: set[asyncio.Task[None]] = set()
        self.lost = 0
        """Events that were never posted."""

    def tell(self, training: Training, event: Event) -> None:
        """Post an Event soon; the time that it tells is now."""
        if len(self._untold) == _KEPT:
            self.lost += 1
        body = event_body(training, event, self._instance, datetime.now(UTC))
        self._untold.append((paths.events(training.namespace), body))
        if len(self._posters) < _POSTERS:
            task = asyncio.create_task(self._post(), name="news")
            self._posters.add(task)
            task.add_done_callback(self._posters.discard)

    async def close(self) -> None:
        """Post what is untold, for a moment; the rest is lost."""
        if self._posters:
            await asyncio.wait(self._posters, timeout=_LAST_WORDS_SECONDS)
        for task in self._posters:
            task.cancel()
        await asyncio.gather(*self._posters, return_exceptions=True)

    async def _post(self) -> None:
        while self._untold:
            async with self._lanes.turn(Lane.EVENT):
                if not self._untold:
                    return
                path, body = self._untold.popleft()
                try:
                    await self._client.create(path, body)
                except (ApiError, aiohttp.ClientError, TimeoutError) as error:
                    self.lost += 1
                    logger.warning("an Event was not posted: %s: %s", type(error).__name__, error)
