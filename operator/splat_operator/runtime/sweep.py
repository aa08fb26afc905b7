"""After a watch had to be listed anew: lets go of what was deleted in between.

A watch that was away for too long ends with 410 Gone; the list that follows brings what is there,
and nobody tells of what is not (kopf gives no deletion for it). Whatever the list did not bring is
asked for by name.
"""

import asyncio
import logging

import aiohttp

from splat_operator.act import ApiClient, ApiError
from splat_operator.runtime.key_queue import KeyQueue
from splat_operator.runtime.store import Store
from splat_operator.runtime.watched import NODES, TRAININGS, Watched

logger = logging.getLogger(__name__)

SETTLE_SECONDS = 5.0
"""So long after the list its objects are surely in the store."""


class Sweeper:
    """Looks after what a list did not bring."""

    def __init__(self, store: Store, queue: KeyQueue, client: ApiClient) -> None:
        self._store = store
        self._queue = queue
        self._client = client
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, watched: Watched, since: float) -> None:
        """Look after the objects of one kind, in the background."""
        task = asyncio.create_task(self.sweep(watched, since), name=f"sweep of {watched.plural}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def sweep(self, watched: Watched, since: float, settle: float = SETTLE_SECONDS) -> None:
        """Forget the objects of one kind that are gone since a monotonic time."""
        await asyncio.sleep(settle)
        if watched == NODES:
            await self._sweep_nodes(since)
            return
        for sighting in self._store.unseen_since(watched.plural, since):
            if await self._gone(watched, sighting.namespace, sighting.name, sighting.uid):
                self._store.forget(watched.plural, sighting)
                self._queue.add(sighting.key)
        if watched != TRAININGS:
            await self._sweep_kernels(watched, since)

    async def _sweep_nodes(self, since: float) -> None:
        for one in self._store.kernels.nodes_unseen_since(since):
            if await self._gone(NODES, None, one.name, one.uid):
                for key in self._store.kernels.forget_node_object(one):
                    self._queue.add(key)

    async def _sweep_kernels(self, watched: Watched, since: float) -> None:
        for one in self._store.kernels.unseen_since(watched.plural, since):
            if await self._gone(watched, one.key.namespace, one.name, one.uid):
                for key in self._store.kernels.forget_object(one.key, one.uid):
                    self._queue.add(key)

    async def _gone(self, watched: Watched, namespace: str | None, name: str, uid: str) -> bool:
        """Whether an object is surely not there any more."""
        try:
            found = await self._client.get(f"{watched.path(namespace)}/{name}")
        except ApiError as error:
            if error.gone:
                return True
            logger.warning("it is not known whether %s is still there: %s", name, error)
            return False
        except (aiohttp.ClientError, TimeoutError) as error:
            logger.warning("it is not known whether %s is still there: %s", name, error)
            return False
        return bool(found["metadata"]["uid"] != uid)
