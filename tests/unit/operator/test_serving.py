"""One user's object must not stop the operator for all: the whole of it, with the real kopf."""

import asyncio
import itertools
import json
from collections.abc import Iterable, Iterator, Sized
from typing import Any

import kopf
import pytest

from splat_operator.api import names
from splat_operator.decide import CreateWarmUp, decide
from splat_operator.runtime import assembly, stream
from splat_operator.runtime.kopf_settings import kopf_settings
from splat_operator.world import KernelCacheSettings, Training, World
from splat_trainer.contract import KernelsDocument, KernelsOutcome

from .api_server import ApiServer, operator
from .builders import (
    JOB_UID,
    NOW,
    finished,
    installation,
    raw_job,
    raw_pod,
    raw_training,
    terminated,
)


def written(namespace: str, name: str, overrides: str = "", **spec: Any) -> str:
    """Give a training as JSON; `overrides` is JSON of its podTemplateOverrides."""
    raw = raw_training(**spec, **({"podTemplateOverrides": "HERE"} if overrides else {}))
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


def made_for(manifest: dict[str, Any], version: int, **more: Any) -> dict[str, Any]:
    """Give an object that carries the labels of a Job."""
    labels = manifest["metadata"]["labels"]
    metadata = {**more.pop("metadata", manifest["metadata"]), "labels": labels}
    return {**manifest, **more, "metadata": {**metadata, "resourceVersion": str(version)}}


def test_the_first_job_after_a_start_deletes_no_kernels_that_running_trainings_need() -> None:
    cache = KernelCacheSettings(claim_name="kernels", architectures=("9.0",))
    old = json.loads(written("gardens", "old"))
    training = Training.from_api(old)
    (action,) = decide(first_look(training, cache), NOW).actions
    assert isinstance(action, CreateWarmUp)
    warm_up = action.manifest
    document = KernelsDocument(outcome=KernelsOutcome.BUILT, message="", key="a-key")
    compiled = raw_pod("compiled", **terminated(0, document.to_json()))
    server = ApiServer()
    # Its Job is there, so that others, whose Jobs are urgent, have their turn before it.
    server.trainings = {
        "gardens": [json.dumps(old), written("gardens", "new", image="another:1")],
    }
    own = {**raw_job(training, active=1)["metadata"], "labels": {names.TRAINING_LABEL: "old"}}
    server.listed = {
        "jobs": [
            {**raw_job(training, active=1), "metadata": {**own, "resourceVersion": "2"}},
            made_for(
                warm_up,
                3,
                metadata={**warm_up["metadata"], "uid": JOB_UID},
                status=finished("Complete"),
            ),
        ],
        "pods": [made_for(warm_up, 4, **compiled)],
    }
    settings = {
        "kernel_cache_claim": "kernels",
        "kernel_cache_architectures": ("9.0",),
        "kernel_cache_max_size": 1_000_000,
    }

    async def run() -> None:
        async with operator(server, **settings) as running:
            await running.until(lambda: bool(server.made))

    with server.serving():
        asyncio.run(run())
    arguments = server.made[0]["spec"]["template"]["spec"]["containers"][0]["args"]
    assert arguments[-4:] == ["--max-bytes", "1000000", "--in-use", "a-key"]


def first_look(training: Training, cache: KernelCacheSettings) -> World:
    return World(installation(kernel_cache=cache), training, None, (), None)


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
