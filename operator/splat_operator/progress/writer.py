"""Reports to status writes: the newest report of each training, at most once in two seconds."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp

from splat_operator.act import ApiError

logger = logging.getLogger(__name__)

INTERVAL_SECONDS = 2.0
_WRITES_AT_ONCE = 32
"""More would only make an API server that is behind answer all of them later; whoever waits for
a turn here writes what is newest when it comes."""


@dataclass(frozen=True)
class Target:
    """Whose progress it is."""

    namespace: str
    name: str
    uid: str


Write = Callable[[str, str, str, Mapping[str, Any]], Awaitable[None]]


class ProgressWriter:
    """Keeps one report for each training and writes it when its turn comes."""

    def __init__(self, write: Write, interval: float = INTERVAL_SECONDS) -> None:
        """`write` takes namespace, name, uid and `status.progress`."""
        self._write = write
        self._interval = interval
        self._newest: dict[Target, Mapping[str, Any]] = {}
        self._tasks: dict[Target, asyncio.Task[None]] = {}
        self._turn = asyncio.Semaphore(_WRITES_AT_ONCE)

    def offer(self, target: Target, progress: Mapping[str, Any]) -> None:
        """Take a report; one that has not been written yet gives way to it."""
        self._newest[target] = progress
        if target not in self._tasks:
            self._tasks[target] = asyncio.create_task(
                self._drain(target), name=f"progress of {target.namespace}/{target.name}"
            )

    async def close(self) -> None:
        """Stop writing; what is not written is lost, and the next report brings it anew."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _drain(self, target: Target) -> None:
        try:
            while target in self._newest:
                async with self._turn:
                    started = time.monotonic()
                    await self._write_one(target, self._newest.pop(target))
                # From start to start: were the write's own time added, a trainer that reports at
                # this very interval would find its turn not come yet, each time a bit more.
                await asyncio.sleep(max(0.0, started + self._interval - time.monotonic()))
        finally:
            del self._tasks[target]

    async def _write_one(self, target: Target, progress: Mapping[str, Any]) -> None:
        try:
            await self._write(target.namespace, target.name, target.uid, progress)
        except ApiError as error:
            if not (error.gone or error.conflict):
                logger.warning(
                    "progress of %s/%s is not written: %s", target.namespace, target.name, error
                )
        except (aiohttp.ClientError, TimeoutError) as error:
            logger.warning(
                "progress of %s/%s is not written: %s: %s",
                target.namespace,
                target.name,
                type(error).__name__,
                error,
            )
