"""kopf's part: it watches, and what it sees goes into the store and the queue. Nothing else.

There are no change handlers, timers or daemons, because each of them would put a finalizer or an
annotation of kopf's on every object.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import kopf

from splat_operator.api import names
from splat_operator.runtime.key_queue import KeyQueue
from splat_operator.runtime.store import Key, Store

Take = Callable[[Mapping[str, Any]], Key | None]


@dataclass(frozen=True)
class Watched:
    """A resource that is watched; `selector` is the label that its objects of interest have."""

    group: str
    version: str
    plural: str
    selector: str | None = None

    def path(self, namespace: str | None) -> str:
        """Where it is listed and watched: in one namespace, or everywhere."""
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        return (
            f"{root}/{self.plural}"
            if namespace is None
            else (f"{root}/namespaces/{namespace}/{self.plural}")
        )


TRAININGS = Watched(names.GROUP, names.VERSION, names.PLURAL)
JOBS = Watched("batch", "v1", "jobs", names.TRAINING_LABEL)
PODS = Watched("", "v1", "pods", names.TRAINING_LABEL)
ALL_WATCHED = (TRAININGS, JOBS, PODS)


def registry(
    store: Store, queue: KeyQueue, login: Callable[[], kopf.AiohttpSession]
) -> kopf.OperatorRegistry:
    """Give the handlers that feed the store and the queue."""
    handlers = kopf.OperatorRegistry()
    news: set[Key] = set()
    _feed(handlers, TRAININGS, store.see_training, store.forget_training, news, queue)
    _feed(handlers, JOBS, store.see_job, store.forget_job, news, queue)
    _feed(handlers, PODS, store.see_pod, store.forget_pod, news, queue)

    async def log_in(**_: Any) -> kopf.AiohttpSession:
        return login()

    kopf.on.login(registry=handlers)(log_in)
    return handlers


def _feed(
    handlers: kopf.OperatorRegistry,
    watched: Watched,
    see: Take,
    forget: Take,
    news: set[Key],
    queue: KeyQueue,
) -> None:
    """Bind one resource.

    The store is filled by an index handler, which indexes nothing: kopf holds the event handlers
    back until everything that is indexed has been listed, and so the first decision is made from
    a full store. What was news by then waits in `news`.
    """

    async def take_in(body: kopf.Body, **_: Any) -> None:
        key = see(dict(body))
        if key is not None:
            news.add(key)

    async def pass_on(event: kopf.RawEvent, **_: Any) -> None:
        if event["type"] == "DELETED":
            key = forget(event["object"])
            if key is not None:
                queue.add(key)
        while news:
            queue.add(news.pop())

    resource = (watched.group, watched.version, watched.plural)
    kopf.index(*resource, id=f"{watched.plural}-seen", registry=handlers)(take_in)
    kopf.on.event(*resource, id=f"{watched.plural}-news", registry=handlers)(pass_on)
