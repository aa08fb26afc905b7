"""One user's object must not stop the operator for all: the whole of it, with the real kopf."""

import asyncio
import json

import pytest

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
