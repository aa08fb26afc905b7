"""Leader election by a Lease (coordination.k8s.io): of several replicas one acts.

As client-go's leaderelection does it: a lease counts as expired when it has not changed for its
duration by the watcher's own clock, so clocks of nodes need not agree.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import aiohttp

from splat_operator.act import ApiClient, ApiError
from splat_operator.act.paths import leases
from splat_operator.world.fields import integer, mapping, text

logger = logging.getLogger(__name__)

DURATION_SECONDS = 10
RENEW_SECONDS = 2.0
RENEW_DEADLINE_SECONDS = 7.0
"""A leader that could not renew for so long stops acting, before another may take over."""
POLL_SECONDS = 2.0

Lead = Callable[[], Awaitable[None]]

_FAILURES = (ApiError, aiohttp.ClientError, TimeoutError)


class Leader:
    """Holds the Lease, or waits for it."""

    def __init__(self, client: ApiClient, namespace: str, name: str, identity: str) -> None:
        """`identity` must differ between replicas: the pod's name and something random."""
        self._client = client
        self._collection = leases(namespace)
        self._path = f"{self._collection}/{name}"
        self._metadata = {"namespace": namespace, "name": name}
        self._identity = identity
        self._seen: tuple[str, str] | None = None
        self._seen_at = 0.0
        self._lease: Mapping[str, Any] | None = None
        """As this replica wrote it last."""
        self._renewed_at = 0.0
        """When the last renewal was sent: others count from when it is written, which is later."""
        self.leading = False

    async def run(self, lead: Lead) -> None:
        """Run `lead` whenever and as long as this replica leads, until cancelled."""
        while True:
            await self._acquire()
            logger.info("leading as %s", self._identity)
            self.leading = True
            work = asyncio.ensure_future(lead())
            hold = asyncio.ensure_future(self._hold())
            try:
                await asyncio.wait({work, hold}, return_when=asyncio.FIRST_COMPLETED)
                if work.done():
                    work.result()
                    raise RuntimeError("the work of the leader ended by itself")
            finally:
                self.leading = False
                for task in (work, hold):
                    task.cancel()
                await asyncio.gather(work, hold, return_exceptions=True)
            logger.warning("the lease is lost; standing by")

    async def release(self) -> None:
        """Give the Lease back, so that another replica need not wait for it to expire."""
        try:
            lease = await self._client.get(self._path)
            if mapping(lease, "spec").get("holderIdentity") == self._identity:
                await self._write(lease, holder="", duration=1)
        except _FAILURES as error:
            logger.warning("the lease is not given back: %s", error)

    async def _acquire(self) -> None:
        while True:
            try:
                began = time.monotonic()
                if await self._try_acquire():
                    self._renewed_at = began
                    return
            except _FAILURES as error:
                logger.warning("the lease cannot be read or written: %s", error)
            await asyncio.sleep(POLL_SECONDS)

    async def _try_acquire(self) -> bool:
        try:
            lease = await self._client.get(self._path)
        except ApiError as error:
            if not error.gone:
                raise
            return await self._first()
        if not self._is_free(mapping(lease, "spec")):
            return False
        return await self._write(lease, holder=self._identity, duration=DURATION_SECONDS)

    async def _first(self) -> bool:
        body = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": self._metadata,
            "spec": self._spec({}, self._identity, DURATION_SECONDS),
        }
        try:
            self._lease = await self._client.create(self._collection, body)
        except ApiError as error:
            if error.conflict:
                return False
            raise
        return True

    def _is_free(self, spec: Mapping[str, Any]) -> bool:
        holder, renewed = text(spec.get("holderIdentity")), text(spec.get("renewTime"))
        if holder in ("", self._identity):
            return True
        now = time.monotonic()
        if self._seen != (holder, renewed):
            self._seen, self._seen_at = (holder, renewed), now
        return now - self._seen_at > (integer(spec.get("leaseDurationSeconds")) or DURATION_SECONDS)

    async def _hold(self) -> None:
        """Renew until that has not been possible for too long."""
        began = self._renewed_at
        while (now := time.monotonic()) < self._deadline():
            await asyncio.sleep(max(0.0, began + RENEW_SECONDS - now))
            began = time.monotonic()
            try:
                # A server that is behind may take all the time that is left.
                async with asyncio.timeout_at(self._deadline()):
                    if not await self._renew():
                        return
                self._renewed_at = began
            except _FAILURES as error:
                logger.warning("the lease is not renewed: %s: %s", type(error).__name__, error)

    def _deadline(self) -> float:
        return self._renewed_at + RENEW_DEADLINE_SECONDS

    async def _renew(self) -> bool:
        """One request, as long as nobody else has touched the Lease."""
        if self._lease and await self._write_own(self._lease):
            return True
        return await self._write_own(await self._client.get(self._path))

    async def _write_own(self, lease: Mapping[str, Any]) -> bool:
        if mapping(lease, "spec").get("holderIdentity") != self._identity:
            return False
        return await self._write(lease, holder=self._identity, duration=DURATION_SECONDS)

    async def _write(self, lease: Mapping[str, Any], *, holder: str, duration: int) -> bool:
        """Write the Lease on condition that nobody else has since it was read."""
        spec = self._spec(mapping(lease, "spec"), holder, duration)
        try:
            self._lease = await self._client.replace(self._path, {**lease, "spec": spec})
        except ApiError as error:
            if error.conflict:
                self._lease = None
                return False
            raise
        return True

    def _spec(self, before: Mapping[str, Any], holder: str, duration: int) -> dict[str, Any]:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        changes = holder != before.get("holderIdentity")
        return {
            **before,
            "holderIdentity": holder,
            "leaseDurationSeconds": duration,
            "renewTime": now,
            "acquireTime": now if changes else before.get("acquireTime", now),
            "leaseTransitions": integer(before.get("leaseTransitions"))
            + (1 if changes and holder and before else 0),
        }
