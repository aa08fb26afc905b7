"""Has kopf decode what it watches as the rest of the operator does.

kopf lets RecursionError through, and ends with it: one training that is nested deeply enough would
stop the operator, and every replica that starts after it.
"""

from types import SimpleNamespace
from typing import Any

import aiohttp
from kopf._cogs.clients import api

from splat_operator.world import loads


class Response(aiohttp.ClientResponse):
    """For sessions: kopf reads lists by `json()`, and gives it no decoder."""

    async def json(
        self,
        *,
        encoding: str | None = None,
        loads: aiohttp.typedefs.JSONDecoder = loads,
        content_type: str | None = "application/json",
    ) -> Any:
        """Read and decode."""
        return await super().json(encoding=encoding, loads=loads, content_type=content_type)


def decode_watches() -> None:
    """For the lines of watches, which kopf decodes by its module's `json.loads`.

    It can be given no other; of that module nothing else is used there. A test with the real kopf
    (test_serving.py) tells if a later one does it elsewhere.
    """
    vars(api)["json"] = SimpleNamespace(loads=loads)
