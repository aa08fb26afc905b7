"""Who may report, what is taken, and how seldom it is written."""

import asyncio
import base64
import contextlib
import json
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer, unused_port
from hypothesis import given
from hypothesis import strategies as st

from splat_operator.progress import ProgressServer
from splat_operator.progress import caller as caller_module
from splat_operator.progress import endpoint as endpoint_module
from splat_operator.progress import server as server_module
from splat_operator.progress.caller import Caller, TokenReviewer, claimed_caller
from splat_operator.progress.certificates import Identity, fresh_identity
from splat_operator.progress.endpoint import LEAST_SECONDS, ProgressEndpoint
from splat_operator.progress.writer import ProgressWriter
from splat_operator.world import Training
from splat_trainer.contract.progress import REPORT_AFTER_HEADER

from .builders import UID, training

PATH = "/v1/namespaces/gardens/trainings/garden/progress"
REPORT = {"stage": "Training", "iteration": 45, "iterations": 100, "iterationsPerSecond": 9.876}


def token(namespace: str = "gardens", pod_uid: str = "pod-1", **more: object) -> str:
    """A token as the API server makes them, but for its signature."""
    pod = {"name": "x", "uid": pod_uid}
    claims = {"kubernetes.io": {"namespace": namespace, "pod": pod}, **more}
    payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"header.{payload}.signature"


class ReviewingApi:
    """The API server's side of a TokenReview: `answers` by token."""

    def __init__(self, answers: Mapping[str, Mapping[str, Any]]) -> None:
        self.answers = answers
        self.reviews = 0
        self.review_seconds = 0.0
        self.answers_given: list[int] = []

    async def create(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        assert path == "/apis/authentication.k8s.io/v1/tokenreviews"
        assert body["spec"]["audiences"] == ["splatting.dev/progress"]
        self.reviews += 1
        await asyncio.sleep(self.review_seconds)
        return {"status": self.answers.get(body["spec"]["token"], {"authenticated": False})}


def approval(
    namespace: str = "gardens",
    pod_uid: str = "pod-1",
    audiences: tuple[str, ...] = ("splatting.dev/progress",),
) -> dict[str, Any]:
    return {
        "authenticated": True,
        "audiences": list(audiences),
        "user": {
            "username": f"system:serviceaccount:{namespace}:default",
            "extra": {"authentication.kubernetes.io/pod-uid": [pod_uid]},
        },
    }


class SecretOf:
    """The Secret that keeps the server's certificates."""

    def __init__(self, identity: Identity) -> None:
        self._identity = identity

    async def identity(self) -> Identity:
        return self._identity


Scene = Callable[["TestClient[Any, Any]", list[Mapping[str, Any]]], Awaitable[None]]


@contextlib.asynccontextmanager
async def an_application(
    api: ReviewingApi, written: list[Mapping[str, Any]]
) -> AsyncIterator[web.Application]:
    async def write(ns: str, name: str, uid: str, report: Mapping[str, Any]) -> None:
        assert (ns, name, uid) == ("gardens", "garden", UID)
        written.append(report)

    def find(namespace: str, name: str, pod_uid: str) -> Training | None:
        own = (namespace, name, pod_uid) == ("gardens", "garden", "pod-1")
        return training() if own else None

    writer = ProgressWriter(write, least=0.05)
    reviewer = TokenReviewer(api)  # type: ignore[arg-type]
    endpoint = ProgressEndpoint(reviewer, find, writer, answered=api.answers_given.append)
    yield endpoint.application()
    await writer.close()


def play(api: ReviewingApi, scene: Scene) -> None:
    async def run() -> None:
        written: list[Mapping[str, Any]] = []
        async with (
            an_application(api, written) as application,
            TestClient(TestServer(application)) as client,
        ):
            await scene(client, written)

    asyncio.run(run())


def headers(bearer: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {bearer}"}


def test_a_pod_of_the_training_may_report() -> None:
    async def scene(client: "TestClient[Any, Any]", written: list[Mapping[str, Any]]) -> None:
        answer = await client.post(PATH, json=REPORT, headers=headers(token()))
        assert answer.status == 204
        await asyncio.sleep(0.01)
        (report,) = written
        progress = report["progress"]
        assert progress["percent"] == "45%"
        assert progress["iterationsPerSecond"] == "9.88"
        assert progress["stage"] == "Training"

    play(ReviewingApi({token(): approval()}), scene)


@pytest.mark.parametrize(
    ("bearer", "path", "answers", "status"),
    [
        ("", PATH, {}, 401),
        ("nonsense", PATH, {}, 401),
        ("a.!.c", PATH, {}, 401),
        ("x" * 5000, PATH, {}, 401),
        (token(), PATH, {}, 401),
        (token(pod_uid="another-pod"), PATH, {}, 403),
        (token(namespace="elsewhere"), PATH, {}, 403),
        (token(), PATH.replace("garden/", "other/"), {token(): approval()}, 403),
        # The claims said one thing, the API server says another.
        (token(), PATH, {token(): approval(pod_uid="another-pod")}, 401),
        (token(), PATH, {token(): approval(namespace="elsewhere")}, 401),
        (token(), PATH, {token(): approval(audiences=())}, 401),
        (token(), PATH, {token(): approval(audiences=("api",))}, 401),
    ],
)
def test_nobody_else_may(bearer: str, path: str, answers: dict[str, Any], status: int) -> None:
    async def scene(client: "TestClient[Any, Any]", written: list[Mapping[str, Any]]) -> None:
        answer = await client.post(path, json=REPORT, headers=headers(bearer))
        assert answer.status == status
        assert written == []

    play(ReviewingApi(answers), scene)


def test_the_api_server_is_not_asked_about_tokens_of_pods_that_nobody_knows() -> None:
    api = ReviewingApi({})

    async def scene(client: "TestClient[Any, Any]", written: list[Mapping[str, Any]]) -> None:
        for number in range(20):
            forged = token(pod_uid=f"pod-{number + 100}")
            await client.post(PATH, json=REPORT, headers=headers(forged))

    play(api, scene)
    assert api.reviews == 0


def test_one_review_serves_a_pods_reports_for_a_while() -> None:
    api = ReviewingApi({token(): approval()})

    async def scene(client: "TestClient[Any, Any]", written: list[Mapping[str, Any]]) -> None:
        for _ in range(5):
            await client.post(PATH, json=REPORT, headers=headers(token()))

    play(api, scene)
    assert api.reviews == 1


@pytest.mark.parametrize(("seconds_left", "reviews"), [(3600, 1), (0, 3)])
def test_no_token_is_taken_for_good_beyond_its_own_end(seconds_left: int, reviews: int) -> None:
    ending = token(exp=int(time.time()) + seconds_left)
    api = ReviewingApi({ending: approval()})

    async def ask() -> None:
        reviewer = TokenReviewer(api)  # type: ignore[arg-type]
        for _ in range(3):
            assert await reviewer.caller(ending) == Caller("gardens", "pod-1")

    asyncio.run(ask())
    assert api.reviews == reviews


def test_a_token_that_was_refused_is_asked_about_again_after_a_minute(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    api = ReviewingApi({})
    clock = SimpleNamespace(time=time.time, now=1000.0)
    clock.monotonic = lambda: clock.now
    monkeypatch.setattr(caller_module, "time", clock)

    async def ask() -> None:
        reviewer = TokenReviewer(api)  # type: ignore[arg-type]
        assert await reviewer.caller(token()) is None
        api.answers = {token(): approval()}
        clock.now += 20
        assert await reviewer.caller(token()) is None
        clock.now += 41
        assert await reviewer.caller(token()) == Caller("gardens", "pod-1")

    asyncio.run(ask())
    assert api.reviews == 2


def test_an_answer_says_when_the_next_report_is_wanted() -> None:
    async def scene(client: "TestClient[Any, Any]", written: list[Mapping[str, Any]]) -> None:
        answer = await client.post(PATH, json=REPORT, headers=headers(token()))
        assert answer.status == 204
        assert float(answer.headers[REPORT_AFTER_HEADER]) > LEAST_SECONDS
        assert answer.headers.get("Connection") != "close"

    play(ReviewingApi({token(): approval()}), scene)


def test_a_report_is_not_refused_because_the_one_before_it_was_long_under_review() -> None:
    api = ReviewingApi({token(): approval()})
    api.review_seconds = LEAST_SECONDS + 0.1

    async def scene(client: "TestClient[Any, Any]", written: list[Mapping[str, Any]]) -> None:
        for _ in range(2):
            await client.post(PATH, json=REPORT, headers=headers(token()))

    play(api, scene)
    assert api.answers_given == [204, 204]


def test_a_pod_that_reports_too_often_is_held_off() -> None:
    async def scene(client: "TestClient[Any, Any]", written: list[Mapping[str, Any]]) -> None:
        answers = [
            (await client.post(PATH, json=REPORT, headers=headers(token()))).status
            for _ in range(2)
        ]
        assert answers == [204, 429]

    play(ReviewingApi({token(): approval()}), scene)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"not json", 400),
        (b"[]", 400),
        (b'{"stage": "Dancing"}', 400),
        (b'{"stage": "Training", "iteration": -1}', 400),
        (b"\xff\xfe", 400),
        (b"[" * 4000, 400),
        (b'{"stage": "Training", "pad": "' + b"x" * 5000 + b'"}', 413),
        (b'{"stage": "Training", "newer": {"a": 1}}', 204),
        (b'{"stage": "Training", "loss": NaN, "etaSeconds": 1e400}', 204),
    ],
)
def test_a_body_that_is_no_report_is_refused_in_one_line(body: bytes, status: int) -> None:
    async def scene(client: "TestClient[Any, Any]", written: list[Mapping[str, Any]]) -> None:
        answer = await client.post(PATH, data=body, headers=headers(token()))
        assert answer.status == status
        assert (await answer.text()).count("\n") <= 1
        await asyncio.sleep(0.01)
        json.dumps(written, allow_nan=False)

    play(ReviewingApi({token(): approval()}), scene)


async def begin_a_report(writer: asyncio.StreamWriter) -> None:
    """Send a report's head and the first byte of its body, and no more."""
    head = f"POST {PATH} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token()}\r\n"
    writer.write(f"{head}Content-Length: 100\r\n\r\n{{".encode())
    await writer.drain()


def test_a_report_that_does_not_come_to_its_end_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(endpoint_module, "BODY_SECONDS", 0.1)
    api = ReviewingApi({token(): approval()})

    async def scene(client: "TestClient[Any, Any]", written: list[Mapping[str, Any]]) -> None:
        reader, writer = await asyncio.open_connection(client.host, client.port)
        await begin_a_report(writer)
        async with asyncio.timeout(5):
            head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 408 ")
        assert b"connection: close" in head.lower()
        writer.close()
        assert written == []

    play(api, scene)
    assert api.answers_given == [408]


def test_a_report_that_does_not_come_to_its_end_keeps_nothing_open_for_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Neither its connection nor the process."""
    monkeypatch.setattr(endpoint_module, "BODY_SECONDS", 0.1)
    monkeypatch.setattr(server_module, "_LINGER_SECONDS", 0.1)
    monkeypatch.setattr(server_module, "_SHUTDOWN_SECONDS", 0.1)
    port = unused_port()
    api = ReviewingApi({token(): approval()})
    secret: Any = SecretOf(fresh_identity(None, "localhost", datetime.now(UTC)))

    async def run() -> None:
        async with an_application(api, []) as application, asyncio.timeout(8):
            server = ProgressServer(application, port, secret)
            await server.start()
            trust = ssl.create_default_context(cadata=server.trust)
            reader, writer = await asyncio.open_connection("localhost", port, ssl=trust)
            await begin_a_report(writer)
            assert b" 408 " in await reader.read()
            monkeypatch.setattr(endpoint_module, "BODY_SECONDS", 600)
            await asyncio.sleep(LEAST_SECONDS)
            _, another = await asyncio.open_connection("localhost", port, ssl=trust)
            await begin_a_report(another)
            await asyncio.sleep(0.2)
            await server.close()
            writer.close()
            another.close()

    asyncio.run(run())
    # The second was never answered.
    assert api.answers_given == [408]


@given(st.text(max_size=200))
def test_any_text_for_a_token_is_read_or_refused(text: str) -> None:
    assert claimed_caller(text) is None or isinstance(claimed_caller(text), Caller)


def test_the_checkpoint_that_a_report_tells_of_is_written_with_it() -> None:
    told = {"iteration": 40, "uri": "/output/checkpoints/checkpoint_0000040.pt"}

    async def scene(client: "TestClient[Any, Any]", written: list[Mapping[str, Any]]) -> None:
        report = {**REPORT, "checkpoint": told}
        assert (await client.post(PATH, json=report, headers=headers(token()))).status == 204
        await asyncio.sleep(0.01)
        (one,) = written
        assert one["checkpoint"] == {
            "iteration": 40,
            "uri": "pvc://splats/checkpoints/checkpoint_0000040.pt",
        }
        assert one["progress"]["iteration"] == 45

    play(ReviewingApi({token(): approval()}), scene)


@pytest.mark.parametrize("checkpoint", ["s3://a/b", {"iteration": -1, "uri": "x"}, {"uri": "x"}])
def test_a_report_whose_checkpoint_is_none_is_refused(checkpoint: Any) -> None:
    async def scene(client: "TestClient[Any, Any]", written: list[Mapping[str, Any]]) -> None:
        report = {**REPORT, "checkpoint": checkpoint}
        answer = await client.post(PATH, json=report, headers=headers(token()))
        assert answer.status == 400
        assert "checkpoint" in await answer.text()
        assert written == []

    play(ReviewingApi({token(): approval()}), scene)
