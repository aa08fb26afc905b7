"""What sees the cluster: kopf watches the trainings, a stream each watches Jobs, pods and nodes.

What is seen goes into the store and the queue, and nothing else happens here. There are no change
handlers, timers or daemons of kopf's, because each of them would put a finalizer or an annotation
on every training.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import aiohttp
import kopf

from splat_operator.runtime.key_queue import KeyQueue
from splat_operator.runtime.keys import Key
from splat_operator.runtime.listing import Listing
from splat_operator.runtime.seeing import Seeing
from splat_operator.runtime.store import Store
from splat_operator.runtime.stream import Stream
from splat_operator.runtime.watched import JOBS, NODES, PODS, TRAININGS, Watched

Raw = Mapping[str, Any]
See = Callable[[Raw], Iterable[Key]]
"""Takes in an object; gives the trainings for which that is news."""


def registry(
    store: Store,
    queue: KeyQueue,
    listing: Listing,
    login: Callable[[], kopf.AiohttpSession],
    stopping: Callable[[], None],
) -> kopf.OperatorRegistry:
    """Give kopf's handlers, which feed the store and the queue from trainings.

    `stopping` is told when kopf has been asked to stop and watches no more.
    """
    handlers = kopf.OperatorRegistry()
    seeing = Seeing(store)

    async def take_in(event: kopf.RawEvent, **_: Any) -> None:
        raw = event["object"]
        news = seeing.no_training(raw) if event["type"] == "DELETED" else seeing.training(raw)
        for key in news:
            queue.add(key)
        if event["type"] is None:  # kopf's sign of a list
            listing.brought()

    async def log_in(**_: Any) -> kopf.AiohttpSession:
        return login()

    async def clean_up(**_: Any) -> None:
        stopping()

    resource = (TRAININGS.group, TRAININGS.version, TRAININGS.plural)
    kopf.on.event(*resource, id="splattrainings-seen", registry=handlers)(take_in)
    kopf.on.login(registry=handlers)(log_in)
    kopf.on.cleanup(registry=handlers)(clean_up)
    return handlers


def streams(
    store: Store,
    queue: KeyQueue,
    session: aiohttp.ClientSession,
    server: str,
    watched: Mapping[str, Watched],
) -> list[Stream]:
    """Give a stream for each path but the trainings', which feed the store and the queue."""
    seeing = Seeing(store)
    sees: dict[Watched, tuple[See, See]] = {
        JOBS: (seeing.job, seeing.no_job),
        PODS: (seeing.pod, seeing.no_pod),
        NODES: (store.kernels.see_node, store.kernels.forget_node),
    }

    def stream(path: str, one: Watched) -> Stream:
        see, forget = sees[one]

        def take(raw: Raw, gone: bool) -> None:
            for key in forget(raw) if gone else see(raw):
                queue.add(key)

        return Stream(session, server.rstrip("/") + path, one.selector, take)

    return [stream(path, one) for path, one in watched.items() if one is not TRAININGS]
