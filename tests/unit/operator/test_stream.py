"""A collection listed and watched, against a real HTTP server that speaks the protocol."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Coroutine
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from splat_operator.runtime import stream as module
from splat_operator.runtime.stream import Stream

PATH = "/apis/batch/v1/jobs"
STATUS = {"kind": "Status", "code": 500, "message": "etcd is away"}
GONE = {"type": "ERROR", "object": {**STATUS, "code": 410}}
BROKEN = {"type": "ERROR", "object": STATUS}


def an_object(name: str, version: int, **more: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, "resourceVersion": str(version)}, **more}


def an_event(kind: str, name: str, version: int, **more: Any) -> dict[str, Any]:
    return {"type": kind, "object": an_object(name, version, **more)}


class Api:
    """Answers lists from `pages`, by token, and watches from `watches`, one after the other."""

    def __init__(self) -> None:
        self.pages: dict[str, dict[str, Any]] = {"": {"metadata": {"resourceVersion": "10"}}}
        self.watches: list[list[Any]] = []
        """Lines of each; bytes are sent as they are."""
        self.refusals: list[int] = []
        self.asked: list[dict[str, str]] = []

    def application(self) -> web.Application:
        application = web.Application()
        application.router.add_get(PATH, self._answer)
        return application

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(dict(request.query))
        if self.refusals:
            return web.Response(status=self.refusals.pop(0), text="not now")
        if "watch" not in request.query:
            return web.json_response(self.pages[request.query.get("continue", "")])
        response = web.StreamResponse()
        await response.prepare(request)
        if not self.watches:
            await asyncio.sleep(600)
        for event in self.watches.pop(0):
            line = (event if isinstance(event, bytes) else json.dumps(event).encode()) + b"\n"
            half = len(line) // 2
            await response.write(line[:half])
            await asyncio.sleep(0)
            await response.write(line[half:])
        return response


async def _nothing() -> None:
    """What happens beside a stream when nobody says so."""


def follow(
    api: Api,
    until: Callable[[list[Any]], bool],
    beside: Callable[[], Coroutine[Any, Any, None]] = _nothing,
) -> list[tuple[str, bool]]:
    """Run a stream until it has seen enough; gives the names seen, and whether they were gone."""
    seen: list[tuple[str, bool]] = []

    async def run() -> None:
        done = asyncio.Event()

        def take(raw: Any, gone: bool) -> None:
            seen.append((raw["metadata"]["name"], gone))
            if until(seen):
                done.set()

        async with TestServer(api.application()) as server, aiohttp.ClientSession() as session:
            stream = Stream(session, str(server.make_url(PATH)), "a=b", take)
            task = asyncio.create_task(stream.run())
            other = asyncio.create_task(beside())
            await _first(done.wait(), task)
            task.cancel()
            await other

    asyncio.run(run())
    return seen


async def _first(done: Awaitable[Any], task: "asyncio.Task[None]") -> None:
    waiting = asyncio.ensure_future(done)
    await asyncio.wait({waiting, task}, timeout=20, return_when=asyncio.FIRST_COMPLETED)
    assert waiting.done()


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_RECONNECT_SECONDS", 0.0)
    monkeypatch.setattr(module, "_FIRST_BACKOFF", 0.001)


def test_what_is_there_comes_page_by_page_and_then_what_happens() -> None:
    api = Api()
    api.pages = {
        "": {"metadata": {"continue": "next"}, "items": [an_object("a", 1)]},
        "next": {"metadata": {"resourceVersion": "10"}, "items": [an_object("b", 2)]},
    }
    # One of them longer than any buffer.
    api.watches = [[an_event("MODIFIED", "a", 11, pad="x" * 300_000), an_event("DELETED", "b", 12)]]
    seen = follow(api, lambda seen: len(seen) == 4)
    assert seen == [("a", False), ("b", False), ("a", False), ("b", True)]
    assert [one.get("labelSelector") for one in api.asked[:3]] == ["a=b"] * 3
    assert api.asked[2]["resourceVersion"] == "10"


def test_a_watch_that_ends_goes_on_from_where_it_was_bookmarks_counted() -> None:
    api = Api()
    api.watches = [
        [an_event("ADDED", "a", 11), an_event("BOOKMARK", "", 15)],
        [an_event("ADDED", "b", 16)],
    ]
    assert follow(api, lambda seen: len(seen) == 2) == [("a", False), ("b", False)]
    versions = [one["resourceVersion"] for one in api.asked if "watch" in one]
    assert versions[:2] == ["10", "15"]


def test_after_a_version_that_is_too_old_all_is_listed_anew() -> None:
    api = Api()
    api.watches = [[an_event("ADDED", "a", 11), GONE], [an_event("ADDED", "b", 12)]]
    assert follow(api, lambda seen: len(seen) == 2) == [("a", False), ("b", False)]
    assert ["watch" in one for one in api.asked[:4]] == [False, True, False, True]


@pytest.mark.parametrize("status", [403, 429, 500, 503])
def test_a_server_that_refuses_is_asked_again(status: int) -> None:
    api = Api()
    api.refusals = [status, status]
    api.watches = [[an_event("ADDED", "a", 11)]]
    assert follow(api, lambda seen: len(seen) == 1) == [("a", False)]


def test_a_list_that_expired_on_the_way_begins_anew() -> None:
    api = Api()
    api.refusals = [410]
    api.watches = [[an_event("ADDED", "a", 11)]]
    assert follow(api, lambda seen: len(seen) == 1) == [("a", False)]


def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Have the stream's pauses noted, each as long as it may be."""
    noted: list[float] = []

    async def sleep(seconds: float) -> None:
        if seconds:
            noted.append(seconds)
        await asyncio.sleep(seconds)

    monkeypatch.setattr(module, "asyncio", SimpleNamespace(sleep=sleep))
    monkeypatch.setattr(module, "random", SimpleNamespace(uniform=lambda least, most: most))
    return noted


@pytest.mark.parametrize("event", [GONE, BROKEN], ids=["expired", "broken"])
def test_pauses_grow_until_a_watch_has_brought_something(
    event: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    noted = pauses(monkeypatch)
    api = Api()
    brings = an_event("ADDED", "a", 11)
    api.watches = [[event], [event], [event], [brings, event], [event], [brings]]
    follow(api, lambda seen: len(seen) == 2)
    assert noted == [0.001, 0.002, 0.004, 0.001, 0.002]


def test_pauses_between_lists_that_expire_grow(monkeypatch: pytest.MonkeyPatch) -> None:
    noted = pauses(monkeypatch)
    api = Api()
    api.refusals = [410, 410, 410]
    api.watches = [[an_event("ADDED", "a", 11)]]
    follow(api, lambda seen: len(seen) == 1)
    assert noted == [0.001, 0.002, 0.004]


def test_watches_that_end_at_once_are_asked_for_less_and_less_often(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    noted = pauses(monkeypatch)
    api = Api()
    brings = an_event("ADDED", "a", 11)
    api.watches = [[], [], [], [brings], [], [an_event("ADDED", "b", 12)]]
    with caplog.at_level(logging.WARNING):
        follow(api, lambda seen: len(seen) == 2)
    assert noted == [0.001, 0.002, 0.004, 0.001]
    (record,) = caplog.records
    assert "watches end at once and bring nothing" in record.getMessage()
    versions = [one.get("resourceVersion") for one in api.asked]
    assert versions[:7] == [None, *["10"] * 4, "11", "11"]


@pytest.mark.parametrize(
    "line",
    [
        STATUS,
        BROKEN,
        b"no JSON",
        b"\xff",
        b"",
        [],
        "ADDED",
        7,
        None,
        {"type": "ADDED"},
        {"type": "ADDED", "object": None},
        {"type": "ADDED", "object": []},
        {"type": "ADDED", "object": {"metadata": {"name": "x"}}},
        {"type": ["ADDED"], "object": an_object("x", 11)},
    ],
    ids=str,
)
def test_a_line_that_is_no_event_is_told_and_all_is_listed_anew(
    line: Any, caplog: pytest.LogCaptureFixture
) -> None:
    api = Api()
    api.watches = [[line, an_event("ADDED", "lost", 11)], [an_event("ADDED", "a", 12)]]
    assert follow(api, lambda seen: len(seen) == 1) == [("a", False)]
    assert ["watch" in one for one in api.asked[:4]] == [False, True, False, True]
    (record,) = caplog.records
    assert "is not watched" in record.getMessage()
    assert "\n" not in record.getMessage()


@pytest.mark.parametrize("page", [None, [], "x", {}, {"items": 7}, {"metadata": []}], ids=str)
def test_an_answer_that_is_no_list_is_asked_for_again(page: Any) -> None:
    api = Api()
    good, api.pages = api.pages, {"": page}

    async def heal() -> None:
        while len(api.asked) < 2:
            await asyncio.sleep(0.001)
        api.pages = good

    api.watches = [[an_event("ADDED", "a", 11)]]
    assert follow(api, lambda seen: len(seen) == 1, heal) == [("a", False)]


@pytest.mark.parametrize(("times", "told"), [(1, False), (3, True)])
def test_a_version_that_is_too_old_is_told_only_when_it_is_so_again_and_again(
    times: int, told: bool, caplog: pytest.LogCaptureFixture
) -> None:
    api = Api()
    api.watches = [*[[GONE]] * times, [an_event("ADDED", "a", 11)]]
    with caplog.at_level(logging.WARNING):
        follow(api, lambda seen: len(seen) == 1)
    assert bool(caplog.records) == told
