"""One user's object must not stop the operator for all: the whole of it, with the real kopf."""

import asyncio
import itertools
import json
from collections.abc import Iterable, Iterator, Sized

import kopf
import pytest

from splat_operator.runtime import assembly, stream
from splat_operator.runtime.kopf_settings import kopf_settings

from .api_server import ApiServer, operator
from .builders import raw_training


def written(namespace: str, name: str, overrides: str = "") -> str:
    """Give a training as JSON; `overrides` is JSON of its podTemplateOverrides."""
    raw = raw_training(**({"podTemplateOverrides": "HERE"} if overrides else {}))
    raw["metadata"] |= {
        "namespace": namespace,
        "name": name,
        "uid": f"{namespace}-{name}",
        "resourceVersion": "1",
    }
    return json.dumps(raw).replace('"HERE"', overrides)


def nested(levels: int) -> str:
    return '{"spec":' + '{"a":' * levels + "1" + "}" * levels + "}"


def succeeded(server: ApiServer, key: str) -> tuple[str, str]:
    """Give reason and message of a training's condition Succeeded."""
    conditions = server.statuses.get(key, {}).get("conditions", [])
    found: dict[str, str] = next((one for one in conditions if one["type"] == "Succeeded"), {})
    return found.get("reason", ""), found.get("message", "")


@pytest.mark.parametrize(("listed", "levels"), [(True, 9_995), (True, 960), (False, 9_995)])
def test_a_training_nested_deeply_is_invalid_and_others_are_served(
    listed: bool, levels: int
) -> None:
    server = ApiServer()
    deep, garden = written("red", "deep", nested(levels)), written("blue", "garden")
    server.trainings = {"red": [deep] if listed else [], "blue": [garden]}

    async def run() -> None:
        async with operator(server) as running:
            await running.until_ready()
            server.trainings["red"] = [deep]
            if not listed:
                server.happens("", deep)
            await running.until(lambda: "blue" in server.jobs and "red/deep" in server.statuses)

    with server.serving():
        asyncio.run(run())
    reason, message = succeeded(server, "red/deep")
    assert reason == "InvalidSpec"
    assert message.startswith("spec")
    assert server.jobs == ["blue"]


def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the default pauses of all that retries, some eighty seconds in all, go by at once."""
    monkeypatch.setattr(stream, "LONGEST_BACKOFF", 0.05)
    monkeypatch.setattr(stream, "_FIRST_BACKOFF", 0.05)

    def settings() -> kopf.OperatorSettings:
        found = kopf_settings()
        pauses = found.networking.error_backoffs
        assert isinstance(pauses, Iterable)
        # As endless as they are.
        found.networking.error_backoffs = (
            [0.05] * len(pauses) if isinstance(pauses, Sized) else _Endless()
        )
        return found

    monkeypatch.setattr(assembly, "kopf_settings", settings)


class _Endless:
    def __iter__(self) -> Iterator[float]:
        return itertools.repeat(0.05)


def test_a_namespace_that_goes_away_is_let_alone_and_others_are_served(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    quick(monkeypatch)
    server = ApiServer()
    server.trainings = {"red": [written("red", "a")], "blue": [written("blue", "b")]}

    async def run() -> None:
        async with operator(server, "red", "blue") as running:
            await running.until(lambda: sorted(server.jobs) == ["blue", "red"])
            server.refused.add("blue")
            await asyncio.sleep(1.5)  # longer than all that kopf would try
            server.trainings["red"].append(written("red", "c"))
            server.happens("red", written("red", "c"))
            await running.until(lambda: server.jobs.count("red") == 2)
            status, words = await running.health("/readyz")
            assert (status, "/namespaces/blue/" in words) == (200, True)

    with server.serving():
        asyncio.run(run())


def test_a_namespace_that_is_refused_at_the_start_is_served_when_it_comes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    quick(monkeypatch)
    server = ApiServer()
    server.trainings = {"red": [written("red", "a")], "blue": [written("blue", "b")]}
    server.refused.add("blue")

    async def run() -> None:
        async with operator(server, "red", "blue") as running:
            await running.until_ready()
            await running.until(lambda: server.jobs == ["red"])
            server.refused.clear()
            await running.until(lambda: server.jobs == ["red", "blue"])
            assert await running.health("/readyz") == (200, "leading\n")

    with server.serving():
        asyncio.run(run())


def test_an_operator_without_rights_in_the_cluster_says_so_and_is_not_ready(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    quick(monkeypatch)
    server = ApiServer()
    server.refused.add("")

    async def run() -> None:
        async with operator(server) as running:
            await asyncio.sleep(2.5)
            await running.until(lambda: True)
            status, words = await running.health("/readyz")
            assert (status, words.startswith("listing: refused: /api/v1/pods")) == (503, True)

    with server.serving():
        asyncio.run(run())
