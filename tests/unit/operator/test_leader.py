"""One leads, as long as it can renew its Lease, and stops before another may begin."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from splat_operator.act import ApiError
from splat_operator.runtime import leader as module
from splat_operator.runtime.leader import DURATION_SECONDS, RENEW_DEADLINE_SECONDS, Leader

from .virtual_time import run


def now() -> float:
    return asyncio.get_running_loop().time()


@pytest.fixture(autouse=True)
def _virtual_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=now))


class Api:
    """Keeps one Lease; each request takes `seconds`, half of them before it is carried out."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.lease: dict[str, Any] | None = None
        self.version = 0
        self.written_at = 0.0

    async def get(self, path: str) -> dict[str, Any]:
        async with self._taking():
            if self.lease is None:
                raise ApiError(404, "NotFound", "no lease")
            return dict(self.lease)

    async def create(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        async with self._taking():
            if self.lease is not None:
                raise ApiError(409, "AlreadyExists", "it is there")
            return self._write(body)

    async def replace(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        async with self._taking():
            if body["version"] != self.version:
                raise ApiError(409, "Conflict", "it has changed")
            return self._write(body)

    def _write(self, body: Mapping[str, Any]) -> dict[str, Any]:
        self.version += 1
        self.written_at = now()
        self.lease = {**body, "version": self.version}
        return self.lease

    def _taking(self) -> "Api":
        return self

    async def __aenter__(self) -> None:
        await asyncio.sleep(self.seconds / 2)

    async def __aexit__(self, *_: object) -> None:
        await asyncio.sleep(self.seconds / 2)


class Replica:
    """One that leads when it may; `led` has from when to when."""

    def __init__(self, api: Api, name: str) -> None:
        self.led: list[list[float]] = []
        self.leader = Leader(api, "n", "lease", name)  # type: ignore[arg-type]
        self.task = asyncio.create_task(self.leader.run(self._lead))

    async def _lead(self) -> None:
        self.led.append([now(), float("inf")])
        try:
            await asyncio.sleep(1e6)
        finally:
            self.led[-1][1] = now()

    async def end(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


Scene = Callable[[Api, Replica, Replica], Awaitable[None]]


def play(scene: Scene) -> tuple[Replica, Replica]:
    async def whole() -> tuple[Replica, Replica]:
        api = Api()
        one = Replica(api, "one")
        await asyncio.sleep(1)
        other = Replica(api, "other")
        await scene(api, one, other)
        await one.end()
        await other.end()
        return one, other

    return run(whole())


def test_a_slow_server_costs_nobody_the_lease() -> None:
    async def scene(api: Api, one: Replica, other: Replica) -> None:
        await asyncio.sleep(10)
        api.seconds = 3.2
        await asyncio.sleep(300)

    one, other = play(scene)
    assert len(one.led) == 1
    assert other.led == []


@pytest.mark.parametrize("seconds", [5.0, 7.0, 12.0, 40.0])
def test_who_cannot_renew_stops_before_another_begins(seconds: float) -> None:
    async def scene(api: Api, one: Replica, other: Replica) -> None:
        await asyncio.sleep(10)
        api.seconds = seconds
        await asyncio.sleep(60)
        api.seconds = 0.01
        await asyncio.sleep(60)

    one, other = play(scene)
    spans = sorted(span for replica in (one, other) for span in replica.led)
    assert len(spans) > 1
    assert all(first[1] <= second[0] for first, second in itertools.pairwise(spans))


def test_a_renewal_is_one_request_whoever_else_writes_to_the_lease() -> None:
    versions: list[int] = []

    async def scene(api: Api, one: Replica, other: Replica) -> None:
        await other.end()
        await asyncio.sleep(10)
        versions.append(api.version)
        await asyncio.sleep(20)
        versions.append(api.version)
        assert api.lease is not None
        api._write({**api.lease, "annotated": True})
        await asyncio.sleep(20)
        assert api.lease["annotated"]

    one, _ = play(scene)
    assert len(one.led) == 1
    assert versions[1] - versions[0] == 10


def test_a_leader_that_is_gone_is_followed_by_another() -> None:
    async def scene(api: Api, one: Replica, other: Replica) -> None:
        await asyncio.sleep(10)
        await one.end()  # as a crash: nothing is given back
        await asyncio.sleep(DURATION_SECONDS + RENEW_DEADLINE_SECONDS)

    one, other = play(scene)
    assert one.led[0][1] + 12 >= other.led[0][0] > one.led[0][1]


def test_a_lease_that_is_given_back_is_taken_at_the_next_look() -> None:
    async def scene(api: Api, one: Replica, other: Replica) -> None:
        await asyncio.sleep(10)
        await one.end()
        await one.leader.release()
        await asyncio.sleep(5)

    one, other = play(scene)
    assert other.led[0][0] - one.led[0][1] <= 2.0
