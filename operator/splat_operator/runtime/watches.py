"""Whether the watches are fresh: seen from the requests that open them.

A watch is opened anew every few minutes, because the server is asked to close it after so long;
one that has not been opened for longer hangs or has died, though the process lives (kopf #1276).
"""

import time
from collections.abc import Callable, Mapping
from types import SimpleNamespace

import aiohttp

SERVER_TIMEOUT = 240
"""After so many seconds the API server closes a watch and it is opened anew."""

_STALE_SECONDS = SERVER_TIMEOUT + 120


def _nobody(path: str, since: float) -> None:
    """Whom to tell when nobody asked."""


class Watches:
    """When each watch was opened last."""

    def __init__(
        self, expected: frozenset[str], relisted: Callable[[str, float], None] = _nobody
    ) -> None:
        """`expected` are the paths that must be watched.

        `relisted` is told of a path that had to be listed anew, and the monotonic time at which
        that began: what was deleted before it has been missed.
        """
        self._expected = expected
        self._relisted = relisted
        self._opened: dict[str, float] = {}
        self._listed: dict[str, float] = {}
        self._since = time.monotonic()

    def trace(self) -> aiohttp.TraceConfig:
        """Give what makes a session tell of the watches that it opens."""
        config = aiohttp.TraceConfig()
        config.on_request_start.append(self._request_started)
        config.on_request_end.append(self._request_ended)
        return config

    @property
    def all_opened(self) -> bool:
        """Whether everything has been listed and is being watched."""
        return self._expected <= self._opened.keys()

    @property
    def fresh(self) -> bool:
        """Whether no watch is overdue; before the first one the time since the start counts."""
        return all(age < _STALE_SECONDS for age in self.ages().values())

    def ages(self) -> Mapping[str, float]:
        """Give the seconds since each watch was opened last."""
        now = time.monotonic()
        return {name: now - self._opened.get(name, self._since) for name in self._expected}

    async def _request_ended(
        self,
        session: aiohttp.ClientSession,
        context: SimpleNamespace,
        params: aiohttp.TraceRequestEndParams,
    ) -> None:
        if params.response.status != 200 or params.url.query.get("watch") != "true":
            return
        path = params.url.path
        listed = self._listed.pop(path, None)
        if listed is not None and path in self._opened:
            self._relisted(path, listed)
        self._opened[path] = time.monotonic()

    async def _request_started(
        self,
        session: aiohttp.ClientSession,
        context: SimpleNamespace,
        params: aiohttp.TraceRequestStartParams,
    ) -> None:
        # Of a list in several pages the first counts.
        if params.url.path in self._expected and "watch" not in params.url.query:
            self._listed.setdefault(params.url.path, time.monotonic())
