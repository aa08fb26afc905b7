"""Whether watches are fresh, and what is missed while one is away."""

import asyncio
import time
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from yarl import URL

from splat_operator.act import ApiError
from splat_operator.runtime.key_queue import KeyQueue
from splat_operator.runtime.store import Key, Store
from splat_operator.runtime.sweep import Sweeper
from splat_operator.runtime.watched import JOBS, NODES, PODS, TRAININGS, Watched
from splat_operator.runtime.watches import Watches

from .test_kernel_store import SETTINGS, node
from .test_store import KEY, a_job, a_pod, a_training

PATH = "/api/v1/pods"


def test_paths_are_those_of_the_api_server() -> None:
    assert PODS.path(None) == PATH
    assert JOBS.path("a") == "/apis/batch/v1/namespaces/a/jobs"
    assert TRAININGS.path(None) == "/apis/splatting.dev/v1alpha1/splattrainings"


def requests(watches: Watches, *queries: Mapping[str, str], status: int = 200) -> None:
    """Send requests to a real server through a session that the watches trace."""

    async def answer(request: web.Request) -> web.Response:
        return web.Response(status=status)

    async def run() -> None:
        application = web.Application()
        application.router.add_get(PATH, answer)
        async with (
            TestServer(application) as server,
            aiohttp.ClientSession(trace_configs=[watches.trace()]) as session,
        ):
            for query in queries:
                async with session.get(server.make_url(PATH), params=query):
                    pass

    asyncio.run(run())


def test_ready_means_that_every_watch_has_been_opened() -> None:
    watches = Watches(frozenset({PATH}))
    requests(watches, {})
    assert not watches.all_opened
    requests(watches, {"watch": "true"})
    assert watches.all_opened


def test_a_watch_that_is_refused_is_not_open() -> None:
    watches = Watches(frozenset({PATH}))
    requests(watches, {"watch": "true"}, status=500)
    assert not watches.all_opened


KINDS = (TRAININGS, JOBS, PODS)


def answered(watches: Watches, path: str, status: int) -> None:
    """Tell the watches that a request for a watch was answered so."""
    url = URL("http://server").with_path(path).with_query(watch="true")
    params: Any = SimpleNamespace(response=SimpleNamespace(status=status), url=url)
    asyncio.run(watches.trace().on_request_end[0](None, None, params))  # type: ignore[arg-type]


def in_namespaces(*namespaces: str) -> Watches:
    return Watches(frozenset(one.path(place) for one in KINDS for place in namespaces))


def test_a_namespace_that_is_refused_is_not_waited_for_and_not_acted_in(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    watches = in_namespaces("red", "blue")
    for one in KINDS:
        answered(watches, one.path("blue"), 403)
    assert not watches.all_opened
    for one in KINDS:
        answered(watches, one.path("red"), 200)
    assert watches.all_opened
    assert (watches.blind("red"), watches.blind("blue")) == (False, True)
    assert "/namespaces/blue/" in watches.fault
    later = time.monotonic() + 10_000
    monkeypatch.setattr(time, "monotonic", lambda: later)
    for one in KINDS:
        answered(watches, one.path("red"), 200)
    assert not watches.fresh, "blue is not even refused any more: its watches hang"
    answered(watches, PODS.path("blue"), 403)
    assert watches.fresh


@pytest.mark.parametrize("namespaces", [(None,), ("red",), ("red", "blue")])
def test_an_operator_that_may_see_nothing_is_not_ready(namespaces: Any) -> None:
    watches = in_namespaces(*namespaces)
    for one in KINDS:
        for place in namespaces:
            answered(watches, one.path(place), 403)
    assert not watches.all_opened
    assert "refused" in watches.fault


def test_nodes_are_not_done_without() -> None:
    paths = [one.path(place) for one in KINDS for place in ("red", "blue")]
    watches = Watches(frozenset([*paths, NODES.path(None)]))
    for path in paths:
        answered(watches, path, 200)
    answered(watches, NODES.path(None), 403)
    assert not watches.all_opened


def test_a_namespace_is_told_of_when_all_of_it_is_seen_again() -> None:
    told: list[str] = []
    watches = in_namespaces("red", "blue")
    watches.regained = told.append
    for status in (200, 403, 200):
        assert told == []
        for one in KINDS:
            answered(watches, one.path("blue"), status)
    assert told == ["blue"]
    assert not watches.blind("blue")
    assert watches.fault == ""


def test_a_watch_that_is_not_opened_again_in_time_is_stale(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    watches = Watches(frozenset({PATH}))
    requests(watches, {"watch": "true"})
    assert watches.fresh
    opened = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: opened + 10_000)
    assert not watches.fresh


def test_a_list_after_the_first_is_told_with_the_time_at_which_it_began() -> None:
    told: list[tuple[str, float]] = []
    watches = Watches(frozenset({PATH}), lambda path, since: told.append((path, since)))
    requests(watches, {}, {"watch": "true"}, {"watch": "true"})
    assert told == []
    before = time.monotonic()
    requests(watches, {"limit": "500"}, {"limit": "500", "continue": "x"}, {"watch": "true"})
    ((path, since),) = told
    assert path == PATH
    assert before <= since <= time.monotonic()


class Api:
    """An API server that still has some objects."""

    def __init__(self, *there: dict[str, Any]) -> None:
        self.there = {raw["metadata"]["name"]: raw for raw in there}

    async def get(self, path: str) -> dict[str, Any]:
        name = path.rsplit("/", 1)[-1]
        if name not in self.there:
            raise ApiError(404, "NotFound", name)
        return self.there[name]


def swept(watched: Watched, store: Store, api: Api, since: float) -> list[Key]:
    asked: list[Key] = []

    class Queue:
        def add(self, key: Key) -> None:
            asked.append(key)

    queue: KeyQueue = Queue()  # type: ignore[assignment]
    sweeper = Sweeper(store, queue, api)  # type: ignore[arg-type]
    asyncio.run(sweeper.sweep(watched, since, settle=0))
    return asked


def a_node(uid: str = "node-1") -> dict[str, Any]:
    raw = node("gpu-1", "9")
    return {**raw, "metadata": {**raw["metadata"], "uid": uid}}


def full_store() -> Store:
    store = Store()
    store.kernels.see_node(a_node())
    store.see_training(a_training())
    store.see_job(a_job())
    store.see_pod(a_pod())
    # Once a decision has been asked for, nodes are news for the training.
    store.world(KEY, SETTINGS, None)
    return store


def unseen(watched: Watched, store: Store) -> list[Any]:
    """Give what is in the store and is asked for if it is listed anew now."""
    now = time.monotonic()
    if watched == NODES:
        return list(store.kernels.nodes_unseen_since(now))
    return list(store.unseen_since(watched.plural, now))


@pytest.mark.parametrize("watched", [TRAININGS, JOBS, PODS, NODES], ids=lambda one: one.plural)
def test_what_was_deleted_while_a_watch_was_away_is_let_go_of(watched: Watched) -> None:
    store = full_store()
    assert len(unseen(watched, store)) == 1
    assert swept(watched, store, Api(), time.monotonic()) == [KEY]
    assert unseen(watched, store) == []
    for other in {TRAININGS, JOBS, PODS, NODES} - {watched}:
        assert len(unseen(other, store)) == 1, f"{other.plural} are none of its business"


def test_a_node_that_is_still_there_stays() -> None:
    store = full_store()
    assert swept(NODES, store, Api(a_node()), time.monotonic()) == []
    assert [one.name for one in store.kernels.nodes] == ["gpu-1"]


def test_a_node_that_the_list_brought_is_not_asked_for() -> None:
    store = full_store()
    since = time.monotonic()
    assert store.kernels.see_node(a_node()) == ()
    assert swept(NODES, store, Api(), since) == []
    assert len(store.kernels.nodes) == 1


def test_a_node_that_has_come_while_it_was_asked_for_stays() -> None:
    store = full_store()

    class Late(Api):
        async def get(self, path: str) -> dict[str, Any]:
            assert path == "/api/v1/nodes/gpu-1"
            store.kernels.see_node(a_node("node-2"))
            return await super().get(path)

    assert swept(NODES, store, Late(), time.monotonic()) == []
    assert len(store.kernels.nodes) == 1


def test_what_the_store_does_not_keep_is_not_mistaken_for_pods() -> None:
    store = full_store()
    (pod,) = store.unseen_since("pods", time.monotonic())
    with pytest.raises(ValueError, match="nodes"):
        store.unseen_since("nodes", time.monotonic())
    with pytest.raises(ValueError, match="nodes"):
        store.forget("nodes", pod)
    with pytest.raises(ValueError, match="nodes"):
        store.kernels.unseen_since("nodes", time.monotonic())
    assert store.unseen_since("pods", time.monotonic()) == [pod]


def test_what_the_list_brought_is_not_asked_for() -> None:
    store = full_store()
    since = time.monotonic()
    assert store.see_job(a_job()) is None
    assert store.unseen_since("jobs", since) == []


def test_what_is_still_there_stays() -> None:
    store = full_store()
    assert swept(JOBS, store, Api(a_job()), time.monotonic()) == []
    assert len(store.unseen_since("jobs", time.monotonic())) == 1


def test_a_namesake_made_since_is_another_object() -> None:
    store = full_store()
    namesake = a_job(uid="another")
    assert swept(JOBS, store, Api(namesake), time.monotonic()) == [KEY]
