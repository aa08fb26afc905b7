"""Who asks after the operator's health, and for how long that is listened to."""

import asyncio

import pytest
from aiohttp.test_utils import unused_port

from splat_operator.runtime import health as module
from splat_operator.runtime.health import HealthServer
from splat_operator.runtime.listing import Listing
from splat_operator.runtime.metrics import Metrics
from splat_operator.runtime.watches import Watches


@pytest.mark.parametrize("asked", [b"", b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"])
def test_a_connection_that_is_asked_nothing_more_is_closed(
    asked: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert module.KEPT_OPEN_SECONDS < 120
    monkeypatch.setattr(module, "KEPT_OPEN_SECONDS", 0.2)
    port = unused_port()
    watches, listing = Watches(frozenset()), Listing(lambda: True)
    server = HealthServer(port, watches, listing, Metrics(), lambda: True, lambda: "")

    async def run() -> bytes:
        await server.start()
        reader, writer = await asyncio.open_connection("localhost", port)
        writer.write(asked)
        async with asyncio.timeout(5):
            answer = await reader.read()
        writer.close()
        await server.close()
        return answer

    answer = asyncio.run(run())
    assert answer.startswith(b"HTTP/1.1 200 ") == bool(asked)
