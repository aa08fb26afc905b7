"""A collection listed and watched, against a real HTTP server that speaks the protocol."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from splat_operator.runtime import stream as module
from splat_operator.runtime.stream import Stream

PATH = "/apis/batch/v1/jobs"
GONE = {"type": "ERROR", "object": {"kind": "Status", "code": 410}}


def an_object(name: str, version: int, **more: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, "resourceVersion": str(version)}, **more}


def an_event(kind: str, name: str, version: int, **more: Any) -> dict[str, Any]:
    return {"type": kind, "object": an_object(name, version, **more)}


class Api:
    """Answers lists from `pages`, by token, and watches from `watches`, one after the other."""

    def __init__(self) -> None:
        self.pages: dict[str, dict[str, Any]] = {"": {"metadata": {"resourceVersion": "10"}}}
        self.watches: list[list[dict[str, Any]]] = []
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
            line = json.dumps(event).encode() + b"\n"
            half = len(line) // 2
            await response.write(line[:half])
            await asyncio.sleep(0)
            await response.write(line[half:])
        return response


def follow(api: Api, until: Callable[[list[Any]], bool]) -> list[tuple[str, bool]]:
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
            await _first(done.wait(), task)
            task.cancel()

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
