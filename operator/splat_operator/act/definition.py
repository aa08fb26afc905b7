"""The definition of SplatTrainings as it is installed, which may not be the operator's own.

It is read from the API server's OpenAPI document, which every service account may read; the CRD
itself would take a right of its own. A status that an older definition does not take whole is
written as far as it fits, because one field too many would have all of it refused.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import aiohttp

from splat_operator.act.api_client import ApiClient, ApiError
from splat_operator.act.paths import SCHEMAS
from splat_operator.api import names
from splat_operator.api.crd import root_schema
from splat_operator.api.drift import fitted, lacking
from splat_operator.world.fields import mapping, mappings

logger = logging.getLogger(__name__)

_LOOK_SECONDS = 60.0
"""How often it is looked whether a definition that does not fit has been replaced."""
_SETTLE_SECONDS = 5.0
"""The document follows the definition with a delay, which must not look like a fault."""
_SHOWN = 4

_ADVICE = (
    "apply the CRD of the operator's version (helm upgrade, or kubectl apply --server-side -f "
    "deploy/splat-operator.yaml)"
)


def _nobody() -> None:
    """Whom to tell when nobody asked."""


class Definition:
    """What the API server takes for a SplatTraining."""

    def __init__(self, client: ApiClient, settle: float = _SETTLE_SECONDS) -> None:
        self._client = client
        self._settle = settle
        self._own = root_schema()
        self._installed: Mapping[str, Any] = self._own
        self._suspected = asyncio.Event()
        self._told = float("-inf")
        self.lacking: tuple[str, ...] = ()
        """What of the operator's own definition the installed one does not have."""
        self.changed: Callable[[], object] = _nobody
        """Whom to tell when that has become another."""

    @property
    def fault(self) -> str:
        """What is wrong with the installed one and what to do; empty where nothing is."""
        return _fault(self.lacking)

    def fitted(self, status: Mapping[str, Any]) -> Mapping[str, Any]:
        """Give as much of a status as the installed definition takes."""
        if not self.lacking:
            return status
        kept: Mapping[str, Any] = fitted(status, self._installed["properties"]["status"]) or {}
        return kept

    def refused(self, error: ApiError) -> None:
        """Take note that a status was refused: the definition may be the reason."""
        now = time.monotonic()
        if now >= self._told + _LOOK_SECONDS:  # which one it was is in the line that follows
            self._told = now
            logger.error("a status is refused: %s. If the CRD is old, %s", error, _ADVICE)
        self._suspected.set()

    @contextlib.asynccontextmanager
    async def looked_at(self) -> AsyncIterator[None]:
        """Look now, when a status was refused, and now and then while something is wrong."""
        looking = asyncio.create_task(self._keep_looking(), name="looking at the CRD")
        try:
            yield
        finally:
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)

    async def _keep_looking(self) -> None:
        while True:
            self._suspected.clear()
            if await self.look():
                self.changed()
            # Every status may be refused, and for another reason.
            await asyncio.sleep(self._settle)
            with contextlib.suppress(TimeoutError):
                seconds = _LOOK_SECONDS if self.lacking else None
                await asyncio.wait_for(self._suspected.wait(), seconds)

    async def look(self) -> bool:
        """Compare the installed definition with the operator's; says whether that has changed."""
        try:
            installed = await self._read()
            if lacking(installed, self._own):
                await asyncio.sleep(self._settle)
                installed = await self._read()
        except (ApiError, aiohttp.ClientError, TimeoutError, KeyError) as error:
            logger.info("whether the CRD is the operator's is not known: %s", error)
            return False
        before, self.lacking = self.lacking, lacking(installed, self._own)
        self._installed = installed
        if before == self.lacking:
            return False
        if self.lacking:
            logger.error("%s", self.fault)
        else:
            logger.info("the installed CRD has all that the operator's has")
        return True

    async def _read(self) -> Mapping[str, Any]:
        document = await self._client.get(SCHEMAS)
        for schema in mapping(document, "components", "schemas").values():
            kinds = mappings(schema.get("x-kubernetes-group-version-kind"))
            if any(one.get("kind") == names.KIND for one in kinds):
                # Of metadata the document has a reference, the CRD only that it is an object.
                properties = {**mapping(schema, "properties"), "metadata": {"type": "object"}}
                return {**schema, "properties": properties}
        raise KeyError(f"no {names.KIND} in {SCHEMAS}")


def _fault(missing: tuple[str, ...]) -> str:
    if not missing:
        return ""
    more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
    return (
        f"the installed CRD {names.PLURAL}.{names.GROUP} is older than the operator and lacks "
        f"{', '.join(missing[:_SHOWN])}{more}: {_ADVICE}"
    )
