"""A small API server, for tests of the whole operator: lists, watches, Jobs and statuses.

It runs in a thread of its own, because kopf cancels whatever tasks are in its loop when it ends.
"""

import asyncio
import contextlib
import json
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import aiohttp
import kopf
from aiohttp import web
from aiohttp.test_utils import TestServer, unused_port

from splat_operator.act import ApiClient, Definition
from splat_operator.runtime.assembly import operate
from splat_operator.runtime.connection import open_session
from splat_operator.runtime.metrics import Metrics
from splat_operator.runtime.settings import Settings


def _resource(plural: str, kind: str, namespaced: bool) -> dict[str, Any]:
    verbs = ["get", "list", "watch", "patch"]
    one = {"name": plural, "singularName": kind.lower(), "kind": kind, "verbs": verbs}
    return {"resources": [{**one, "namespaced": namespaced}]}


_VERSION = {"groupVersion": "splatting.dev/v1alpha1", "version": "v1alpha1"}
_GROUPS = {
    "groups": [{"name": "splatting.dev", "versions": [_VERSION], "preferredVersion": _VERSION}]
}
_FIXED: dict[str, Any] = {
    "/api": {"versions": ["v1"]},
    "/api/v1": _resource("namespaces", "Namespace", False),
    "/apis": _GROUPS,
    "/apis/splatting.dev/v1alpha1": _resource("splattrainings", "SplatTraining", True),
}
_BOOKMARK = b'{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"60"}}}\n'


class ApiServer:
    """Objects are JSON text, because some are deeper than Python can write."""

    def __init__(self) -> None:
        self.trainings: dict[str, list[str]] = {}
        """By namespace."""
        self.refused: set[str] = set()
        """Namespaces in which nothing may be done; "" is the whole cluster."""
        self.statuses: dict[str, dict[str, Any]] = {}
        """By the training's namespace and name."""
        self.listed: dict[str, list[dict[str, Any]]] = {}
        """Jobs and pods that lists bring, by plural."""
        self.jobs: list[str] = []
        """Namespaces in which one was made."""
        self.made: list[dict[str, Any]] = []
        """What was made there."""
        self.url = ""
        self._news: list[tuple[str, str]] = []
        self._version = 100

    def happens(self, namespace: str, training: str) -> None:
        """Have the watch of a namespace bring a training."""
        self._news.append((namespace, f'{{"type":"ADDED","object":{training}}}\n'))

    @contextlib.contextmanager
    def serving(self) -> Iterator["ApiServer"]:
        """Serve until the end of the block."""
        loop, ready = asyncio.new_event_loop(), threading.Event()
        stop = asyncio.Event()

        async def serve() -> None:
            application = web.Application()
            application.router.add_route("*", "/{path:.*}", self._answer)
            # Nobody waits for watches that are open.
            server = TestServer(application)
            await server.start_server(shutdown_timeout=0.1)
            self.url = str(server.make_url("/"))
            ready.set()
            await stop.wait()
            await server.close()

        thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
        thread.start()
        ready.wait(10)
        try:
            yield self
        finally:
            loop.call_soon_threadsafe(stop.set)
            thread.join(10)
            loop.close()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        parts = request.path.strip("/").split("/")
        namespace = parts[parts.index("namespaces") + 1] if "namespaces" in parts else ""
        if request.path in _FIXED:
            return web.json_response(_FIXED[request.path])
        if namespace in self.refused:
            status = {"kind": "Status", "reason": "Forbidden", "message": "no role", "code": 403}
            return web.json_response(status, status=403)
        if request.method == "POST" and parts[-1] == "jobs":
            self.jobs.append(namespace)
            return self._made(await request.json())
        if request.method == "PATCH" and parts[-1] == "status":
            return self._told(namespace, parts[-2], await request.json())
        if request.method == "GET" and parts[-1] in ("splattrainings", "jobs", "pods"):
            return await self._seen(request, namespace, parts[-1])
        return web.json_response({"kind": "Status", "code": 404}, status=404)

    async def _seen(self, request: web.Request, namespace: str, plural: str) -> web.StreamResponse:
        trainings = plural == "splattrainings"
        if "watch" in request.query:
            return await self._watch(request, namespace, trainings)
        others = [json.dumps(one) for one in self.listed.get(plural, [])]
        items = self._items(namespace) if trainings else others
        text = f'{{"metadata":{{"resourceVersion":"50"}},"items":[{",".join(items)}]}}'
        return web.Response(text=text, content_type="application/json")

    async def _watch(
        self, request: web.Request, namespace: str, trainings: bool
    ) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        # aiohttp sends the headers with the first line.
        await response.write(_BOOKMARK)
        while namespace not in self.refused:
            for news in list(self._news):
                if trainings and news[0] == namespace:
                    self._news.remove(news)
                    await response.write(news[1].encode())
            await asyncio.sleep(0.02)
        return response

    def _items(self, namespace: str) -> list[str]:
        if namespace:
            return self.trainings.get(namespace, [])
        return [text for texts in self.trainings.values() for text in texts]

    def _told(self, namespace: str, name: str, body: dict[str, Any]) -> web.Response:
        """Answer with the whole training, its spec as it was given."""
        self._version += 1
        self.statuses[f"{namespace}/{name}"] = body["status"]
        text = next(one for one in self.trainings[namespace] if f'"name": "{name}"' in one)
        text = text.replace('"status": {}', f'"status": {json.dumps(body["status"])}')
        text = text.replace('"resourceVersion": "1"', f'"resourceVersion": "{self._version}"')
        return web.Response(text=text, content_type="application/json")

    def _made(self, raw: dict[str, Any]) -> web.Response:
        self._version += 1
        self.made.append(raw)
        made = {"uid": f"job-{self._version}", "resourceVersion": str(self._version)}
        return web.json_response({**raw, "metadata": {**raw["metadata"], **made}}, status=201)


class Running:
    """The operator as it runs against a server."""

    def __init__(self, port: int, task: "asyncio.Task[None]") -> None:
        self._port = port
        self._task = task

    async def until(self, good: Callable[[], bool], seconds: float = 20) -> None:
        """Wait until something has come about; fails when the operator ends, as it must not."""
        end = time.monotonic() + seconds
        while not good():
            if self._task.done():
                raise AssertionError("the operator has ended") from self._task.exception()
            assert time.monotonic() < end, "it did not come about in time"
            await asyncio.sleep(0.02)

    async def health(self, path: str) -> tuple[int, str]:
        """Ask /healthz or /readyz; 0 before anybody listens."""
        url = f"http://127.0.0.1:{self._port}{path}"
        try:
            async with aiohttp.ClientSession() as session, session.get(url) as response:
                return response.status, await response.text()
        except aiohttp.ClientConnectionError:
            return 0, ""

    async def until_ready(self) -> None:
        """Wait until /readyz says so."""
        end = time.monotonic() + 20
        while (await self.health("/readyz"))[0] != 200:
            await self.until(lambda: True)
            assert time.monotonic() < end, "it is not ready in time"
            await asyncio.sleep(0.05)


@contextlib.asynccontextmanager
async def operator(
    server: ApiServer, *namespaces: str, **settings_of: Any
) -> AsyncIterator[Running]:
    """Run the whole operator, without leader election and progress."""
    port = unused_port()
    settings = Settings(
        trainer_image="splat-trainer:1",
        namespaces=namespaces,
        namespace="splat-system",
        http_port=port,
        leader_election=False,
        **settings_of,
    )
    info = kopf.ConnectionInfo(server=server.url.rstrip("/"))
    async with open_session(info) as session:
        client = ApiClient(session, info.server)
        task = asyncio.create_task(
            operate(settings, client, Definition(client), info, Metrics()), name="operator"
        )
        try:
            await asyncio.sleep(0)
            yield Running(port, task)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
