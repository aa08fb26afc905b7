"""kopf's part: it watches, and what it sees goes into the store and the queue. Nothing else.

There are no change handlers, timers or daemons, because each of them would put a finalizer or an
annotation of kopf's on every object.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import kopf

from splat_operator.api import names
from splat_operator.runtime.key_queue import KeyQueue
from splat_operator.runtime.keys import Key
from splat_operator.runtime.listing import Listing
from splat_operator.runtime.seeing import Seeing
from splat_operator.runtime.store import Store

Take = Callable[[Mapping[str, Any]], Iterable[Key]]
"""Takes in an object; gives the trainings for which that is news."""


@dataclass(frozen=True)
class Watched:
    """A resource that is watched; `selector` is the label that its objects of interest have.

    It is the same for Jobs that train and for those that compile kernels: a resource is watched
    once, and one selector cannot name two labels of which an object has either.
    """

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
JOBS = Watched("batch", "v1", "jobs", f"{names.MANAGED_BY_LABEL}={names.MANAGER}")
PODS = Watched("", "v1", "pods", f"{names.MANAGED_BY_LABEL}={names.MANAGER}")
NODES = Watched("", "v1", "nodes")
"""Watched only where nobody says for which GPUs kernels are to be compiled."""
ALL_WATCHED = (TRAININGS, JOBS, PODS)


def watched_paths(namespaces: tuple[str, ...], nodes: bool) -> dict[str, Watched]:
    """Give all that is watched by its path; no namespaces: everywhere."""
    places: tuple[str | None, ...] = namespaces or (None,)
    paths = {one.path(place): one for one in ALL_WATCHED for place in places}
    return {**paths, NODES.path(None): NODES} if nodes else paths


def registry(
    store: Store,
    queue: KeyQueue,
    listing: Listing,
    login: Callable[[], kopf.AiohttpSession],
    nodes: bool = False,
) -> kopf.OperatorRegistry:
    """Give the handlers that feed the store and the queue; with `nodes`, from nodes too."""
    handlers = kopf.OperatorRegistry()
    seeing = Seeing(store)
    _feed(handlers, TRAININGS, seeing.training, seeing.no_training, queue, listing)
    _feed(handlers, JOBS, seeing.job, seeing.no_job, queue, listing)
    _feed(handlers, PODS, seeing.pod, seeing.no_pod, queue, listing)
    if nodes:
        kernels = store.kernels
        _feed(handlers, NODES, kernels.see_node, kernels.forget_node, queue, listing)

    async def log_in(**_: Any) -> kopf.AiohttpSession:
        return login()

    kopf.on.login(registry=handlers)(log_in)
    return handlers


def _feed(
    handlers: kopf.OperatorRegistry,
    watched: Watched,
    see: Take,
    forget: Take,
    queue: KeyQueue,
    listing: Listing,
) -> None:
    """Bind one resource. Nothing is decided before the listing is complete."""

    async def take_in(event: kopf.RawEvent, **_: Any) -> None:
        raw = event["object"]
        for key in forget(raw) if event["type"] == "DELETED" else see(raw):
            queue.add(key)
        if event["type"] is None:  # kopf's sign of a list
            listing.brought()

    resource = (watched.group, watched.version, watched.plural)
    kopf.on.event(*resource, id=f"{watched.plural}-seen", registry=handlers)(take_in)
