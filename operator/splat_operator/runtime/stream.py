"""Lists one collection and watches it for good, for what there is much of: Jobs and pods.

kopf gives each object a task, a queue and a memory of its own, and makes a dozen objects of each
event: a third of a millisecond, and some 2 KiB for good. Here an event is parsed and taken in. The
protocol is the API server's own ("Efficient detection of changes" in Kubernetes' API concepts).
"""

import asyncio
import logging
import random
import time
from collections.abc import AsyncIterator, Callable, Mapping
from http import HTTPStatus
from typing import Any

import aiohttp

from splat_operator.runtime.watches import SERVER_TIMEOUT
from splat_operator.world import loads
from splat_operator.world.fields import mapping, mappings, text

logger = logging.getLogger(__name__)

PAGE = 500
"""Objects of one answer: a list of ten thousand at once is a peak of memory on both sides."""
_AT_A_TIME = 50
"""Objects taken in before others have a turn."""
_LIST_TIMEOUT = aiohttp.ClientTimeout(total=60, sock_connect=10)
_WATCH_TIMEOUT = aiohttp.ClientTimeout(total=SERVER_TIMEOUT + 30, sock_connect=10)
_RECONNECT_SECONDS = 0.1
_FIRST_BACKOFF, LONGEST_BACKOFF = 1.0, 30.0
_SHORT_SECONDS = 1.0
"""A watch that ends sooner and has brought nothing is no watch (client-go's reflector, too)."""
_SAY_AGAIN_SECONDS = 600.0
"""So long the same words about a stream are not repeated."""
_SAID_BYTES = 300

Raw = Mapping[str, Any]
Take = Callable[[Raw, bool], None]
"""Takes in an object, and whether it is gone."""


class _RefusedError(Exception):
    """The API server did not give what was asked for."""


class _EmptyError(_RefusedError):
    """A watch ended as soon as it began; usual where the API server restarts."""


class _LostError(Exception):
    """Nobody knows what came after a version: everything is listed anew."""


class _ExpiredError(_LostError):
    """The API server itself no longer knows; usual where a watch was away for long."""


_FAILURES = (_LostError, _RefusedError, aiohttp.ClientError, TimeoutError, ValueError)


class Stream:
    """One collection; what it has goes to `take`, object by object, the newest last."""

    def __init__(
        self, session: aiohttp.ClientSession, address: str, selector: str | None, take: Take
    ) -> None:
        """`address` is the server's and the collection's path; `selector` is of labels."""
        self._session = session
        self._address = address
        self._query = {"labelSelector": selector} if selector else {}
        self._take = take
        self._version = ""
        self._said = ("", 0.0)
        self._backoff = _FIRST_BACKOFF

    async def run(self) -> None:
        """List and watch until cancelled; pauses grow until a watch has brought something."""
        while True:
            try:
                if not self._version:
                    await self._list()
                await self._watch()
                await asyncio.sleep(_RECONNECT_SECONDS)
            except _FAILURES as error:
                if isinstance(error, _LostError):
                    self._version = ""
                usual = isinstance(error, _ExpiredError | _EmptyError)
                if not usual or self._backoff > _FIRST_BACKOFF:
                    self._say(f"{type(error).__name__}: {error}")
                await asyncio.sleep(self._backoff * random.uniform(0.5, 1.0))  # noqa: S311
                self._backoff = min(LONGEST_BACKOFF, 2 * self._backoff)

    def _say(self, words: str) -> None:
        now = time.monotonic()
        said, at = self._said
        if words != said or now - at > _SAY_AGAIN_SECONDS:
            self._said = (words, now)
            logger.warning("%s is not watched: %s", self._address, words)

    async def _list(self) -> None:
        query = {**self._query, "limit": str(PAGE)}
        while True:
            async with self._session.get(
                self._address, params=query, timeout=_LIST_TIMEOUT
            ) as response:
                await _good(response)
                page = loads(await response.read())
            for number, item in enumerate(mappings(mapping(page).get("items")), start=1):
                self._take(item, False)
                if number % _AT_A_TIME == 0:
                    await asyncio.sleep(0)
            metadata = mapping(page, "metadata")
            following = text(metadata.get("continue"))
            if not following:
                self._version = _version(metadata)
                return
            query["continue"] = following

    async def _watch(self) -> None:
        """Take in what happens until the server ends the watch."""
        began, version = time.monotonic(), self._version
        query = {
            **self._query,
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": self._version,
            "timeoutSeconds": str(SERVER_TIMEOUT),
        }
        async with self._session.get(
            self._address, params=query, timeout=_WATCH_TIMEOUT
        ) as response:
            await _good(response)
            async for line in _lines(response.content):
                kind, raw = _event(line)
                self._version = _version(mapping(raw, "metadata"))
                self._backoff = _FIRST_BACKOFF
                if kind != "BOOKMARK":
                    self._take(raw, kind == "DELETED")
        if self._version == version and time.monotonic() - began < _SHORT_SECONDS:
            raise _EmptyError("watches end at once and bring nothing")


def _event(line: bytes) -> tuple[str, Raw]:
    """Read a line of a watch: what has happened, and to which object."""
    try:
        event = mapping(loads(line))
    except ValueError:
        event = {}
    kind, raw = text(event.get("type")), mapping(event, "object")
    if kind == "ERROR" and raw.get("code") == HTTPStatus.GONE:
        raise _ExpiredError(text(raw.get("message")))
    if kind in ("", "ERROR") or not raw:
        raise _LostError(f"no event: {line[:_SAID_BYTES].decode(errors='replace')}")
    return kind, raw


def _version(metadata: Raw) -> str:
    """Give the version to go on from; without one, things are listed anew."""
    version = text(metadata.get("resourceVersion"))
    if not version:
        raise _LostError("an answer without a version")
    return version


async def _good(response: aiohttp.ClientResponse) -> None:
    if response.status == HTTPStatus.GONE:
        raise _ExpiredError("410")
    if response.status != HTTPStatus.OK:
        words = (await response.text(errors="replace"))[:_SAID_BYTES]
        raise _RefusedError(f"{response.status} {words}")


async def _lines(content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """Give whole lines, of any length; aiohttp's own reader has a limit."""
    rest = b""
    async for chunk in content.iter_any():
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield line
