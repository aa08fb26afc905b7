"""What the API server answers, as the operator reads it; against a real HTTP server."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from splat_operator.act import ApiClient, ApiError


def ask(
    status: int, body: str, request: Callable[[ApiClient], Awaitable[Any]]
) -> tuple[Any, list[web.BaseRequest]]:
    """Let a client send one request to a server that answers so; gives the answer, or raises."""
    seen: list[web.BaseRequest] = []

    async def answer(incoming: web.Request) -> web.Response:
        await incoming.read()
        seen.append(incoming)
        return web.Response(status=status, text=body)

    async def run() -> Any:
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", answer)
        async with TestServer(application) as server, aiohttp.ClientSession() as session:
            return await request(ApiClient(session, str(server.make_url("/"))))

    return asyncio.run(run()), seen


def refused(status: int, body: str) -> ApiError:
    with pytest.raises(ApiError) as raised:
        ask(status, body, lambda client: client.get("/x"))
    return raised.value


def a_status(reason: str, message: str, *causes: str) -> str:
    details = {"causes": [{"reason": cause} for cause in causes]}
    return json.dumps({"kind": "Status", "reason": reason, "message": message, "details": details})


def test_server_side_apply_names_its_manager_and_its_content() -> None:
    _, (sent,) = ask(
        200, "{}", lambda client: client.apply("/jobs/a", {"a": 1}, manager="me", force=False)
    )
    assert sent.method == "PATCH"
    assert sent.headers["Content-Type"].startswith("application/apply-patch+yaml")
    assert dict(sent.query) == {"fieldManager": "me", "force": "false"}


def test_only_the_object_meant_is_deleted() -> None:
    async def delete(client: ApiClient) -> Any:
        return await client.delete("/jobs/a", uid="u-1")

    _, (sent,) = ask(200, "{}", delete)
    assert sent.method == "DELETE"


@pytest.mark.parametrize(
    ("status", "gone", "conflict", "refusal"),
    [
        (400, False, False, True),
        (401, False, False, False),
        (403, False, False, True),
        (404, True, False, True),
        (409, False, True, False),
        (422, False, False, True),
        (429, False, False, False),
        (500, False, False, False),
    ],
)
def test_an_answer_is_told_apart_by_what_to_do_about_it(
    status: int, gone: bool, conflict: bool, refusal: bool
) -> None:
    error = refused(status, a_status("Because", "so"))
    assert (error.gone, error.conflict, error.refusal) == (gone, conflict, refusal)
    assert (error.reason, error.message) == ("Because", "so")


def test_a_namespace_on_its_way_out_is_told_by_its_cause() -> None:
    assert refused(403, a_status("Forbidden", "no", "NamespaceTerminating")).in_vain
    assert not refused(403, a_status("Forbidden", "no")).in_vain


@pytest.mark.parametrize("body", ["", "<html>Bad Gateway</html>", "[]", "null", '{"reason": 1}'])
def test_an_answer_that_is_no_status_is_passed_on_as_it_is(body: str) -> None:
    error = refused(502, body)
    assert error.status == 502
    assert body.strip() in error.message or error.reason == "Bad Gateway"
