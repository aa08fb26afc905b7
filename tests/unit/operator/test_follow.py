"""What `helm test` prints of its training, and when it is over; against a real HTTP server."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from splat_operator.act import ApiClient, ApiError
from splat_operator.runtime.follow import ended, follow

Raw = dict[str, Any]


def training(phase: str, succeeded: str, reason: str, message: str, percent: str = "") -> Raw:
    condition = {"type": "Succeeded", "status": succeeded, "reason": reason, "message": message}
    status: Raw = {"phase": phase, "conditions": [condition]}
    return {"status": status | ({"progress": {"percent": percent}} if percent else {})}


def followed(answers: Sequence[tuple[int, Raw]]) -> tuple[Raw, list[str], list[str]]:
    """Follow a training on a server that gives these answers: it, what was said, and paths."""
    lines: list[str] = []
    asked: list[str] = []
    left = list(answers)

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.path)
        status, body = left.pop(0)
        return web.Response(status=status, text=json.dumps(body))

    async def run() -> Raw:
        application = web.Application()
        application.router.add_get("/{path:.*}", answer)
        async with TestServer(application) as server, aiohttp.ClientSession() as session:
            client = ApiClient(session, str(server.make_url("/")))
            return await follow(client, "red", "garden", lines.append, seconds=0)

    return asyncio.run(run()), lines, asked


def test_it_says_what_is_new_and_ends_with_the_training() -> None:
    last, lines, asked = followed(
        [
            (200, {"metadata": {}}),
            (200, training("Running", "Unknown", "Training", "pod a", "10%")),
            (200, training("Running", "Unknown", "Training", "pod a", "10%")),
            (200, training("Succeeded", "True", "Trained", "20 steps", "100%")),
        ]
    )
    assert lines == [
        "no status yet: the operator has not taken it up",
        "Running 10% Training: pod a",
        "Succeeded 100% Trained: 20 steps",
    ]
    assert ended(last) is True
    assert set(asked) == {"/apis/splatting.dev/v1alpha1/namespaces/red/splattrainings/garden"}


def test_a_training_that_has_failed_ends_it_too() -> None:
    last, lines, _ = followed([(200, training("Failed", "False", "InvalidCapture", "no images"))])
    assert ended(last) is False
    assert lines == ["Failed InvalidCapture: no images"]


def test_an_api_server_in_trouble_is_asked_again() -> None:
    refusing = {"kind": "Status", "reason": "ServiceUnavailable", "message": "starting"}
    done = training("Succeeded", "True", "Trained", "20 steps")
    _, lines, _ = followed([(503, refusing), (503, refusing), (200, done)])
    assert lines == ["503 ServiceUnavailable: starting", "Succeeded Trained: 20 steps"]


def test_a_training_that_is_gone_is_not_waited_for() -> None:
    gone = {"kind": "Status", "reason": "NotFound", "message": "garden not found"}
    with pytest.raises(ApiError, match="garden not found"):
        followed([(404, gone)])
