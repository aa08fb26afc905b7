"""Whether the watches are fresh: seen from the requests that open them.

A watch is opened anew every few minutes, because the server is asked to close it after so long;
one that has not been opened for longer hangs or has died, though the process lives (kopf #1276).

Of several namespaces one may be deleted, or its tenant may take the operator's rights there away.
That is no reason to leave the others alone: as long as the server refuses it, it is not waited for,
and nothing is decided in it.
"""

import logging
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from types import SimpleNamespace

import aiohttp

logger = logging.getLogger(__name__)

SERVER_TIMEOUT = 240
"""After so many seconds the API server closes a watch and it is opened anew."""

_STALE_SECONDS = SERVER_TIMEOUT + 120
_REFUSALS = (HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND)


def _nobody(path: str, since: float) -> None:
    """Whom to tell when nobody asked."""


def _nobody_either(namespace: str) -> None:
    """As above."""


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
        self._refused: dict[str, float] = {}
        self._since = time.monotonic()
        self.regained: Callable[[str], object] = _nobody_either
        """Whom to tell of a namespace that can be seen again."""

    def trace(self) -> aiohttp.TraceConfig:
        """Give what makes a session tell of the watches that it opens."""
        config = aiohttp.TraceConfig()
        config.on_request_start.append(self._request_started)
        config.on_request_end.append(self._request_ended)
        return config

    @property
    def all_opened(self) -> bool:
        """Whether everything has been listed and is being watched that is not waived."""
        return all(path in self._opened or self._waived(path) for path in self._expected)

    @property
    def fresh(self) -> bool:
        """Whether no watch is overdue; before the first one the time since the start counts."""
        return all(age < _STALE_SECONDS or self._waived(path) for path, age in self.ages().items())

    @property
    def fault(self) -> str:
        """What the server refuses; empty where it refuses nothing."""
        return f"refused: {', '.join(sorted(self._refused))}" if self._refused else ""

    def blind(self, namespace: str) -> bool:
        """Whether a namespace among several is not seen whole: what was decided would be wrong."""
        return any(not self._seen(path) for path in self._expected if _place(path) == namespace)

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
        path = params.url.path
        if path in self._expected and params.response.status in _REFUSALS:
            self._refuse(path, params.response.status)
        if params.response.status != 200 or params.url.query.get("watch") != "true":
            return
        listed = self._listed.pop(path, None)
        if listed is not None and path in self._opened:
            self._relisted(path, listed)
        self._opened[path] = time.monotonic()
        if self._refused.pop(path, None) is not None:
            self._regain(_place(path))

    async def _request_started(
        self,
        session: aiohttp.ClientSession,
        context: SimpleNamespace,
        params: aiohttp.TraceRequestStartParams,
    ) -> None:
        # Of a list in several pages the first counts.
        if params.url.path in self._expected and "watch" not in params.url.query:
            self._listed.setdefault(params.url.path, time.monotonic())

    def _refuse(self, path: str, status: int) -> None:
        if path not in self._refused:
            place = _place(path)
            served = f"nothing is done in {place}" if place else "no training is served"
            logger.error(
                "the API server refuses %s (%s): %s until it no longer does; if that is not meant, "
                "look at the operator's roles and their bindings",
                path,
                status,
                served,
            )
        self._refused[path] = time.monotonic()

    def _regain(self, place: str) -> None:
        if place and not self.blind(place):
            logger.info("namespace %s can be seen again", place)
            self.regained(place)

    def _seen(self, path: str) -> bool:
        return path in self._opened and path not in self._refused

    def _waived(self, path: str) -> bool:
        """Whether it is in a namespace that the server refuses, and another one can be seen.

        A server that refuses everything has not given the operator its rights.
        """
        place = _place(path)
        since = time.monotonic() - _STALE_SECONDS
        refused = {_place(one) for one, at in self._refused.items() if at > since}
        others = {_place(one) for one in self._expected} - {place, ""}
        return bool(place) and place in refused and any(not self.blind(one) for one in others)


def _place(path: str) -> str:
    """Give the namespace of a path; empty where it is that of all."""
    _, _, rest = path.partition("/namespaces/")
    return rest.partition("/")[0]
