"""/healthz, /readyz and /metrics."""

from collections.abc import Callable
from http import HTTPStatus

from aiohttp import web

from splat_operator.runtime.listing import Listing
from splat_operator.runtime.metrics import Metrics
from splat_operator.runtime.watches import Watches

KEPT_OPEN_SECONDS = 75.0
"""A connection that is asked nothing for so long is closed; by itself aiohttp waits an hour."""


class HealthServer:
    """Answers the kubelet and Prometheus, over plain HTTP."""

    def __init__(
        self,
        port: int,
        watches: Watches,
        listing: Listing,
        metrics: Metrics,
        leading: Callable[[], bool],
        fault: Callable[[], str],
    ) -> None:
        """`fault` is what is wrong and does not keep it from working."""
        self._port = port
        self._watches = watches
        self._listing = listing
        self._metrics = metrics
        self._leading = leading
        self._fault = fault
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Listen."""
        application = web.Application()
        application.router.add_get("/healthz", self._healthz)
        application.router.add_get("/readyz", self._readyz)
        application.router.add_get("/metrics", self._serve_metrics)
        self._runner = web.AppRunner(
            application, access_log=None, keepalive_timeout=KEPT_OPEN_SECONDS
        )
        await self._runner.setup()
        await web.TCPSite(self._runner, port=self._port).start()

    async def close(self) -> None:
        """Stop listening."""
        if self._runner:
            await self._runner.cleanup()

    async def _healthz(self, request: web.Request) -> web.Response:
        """Alive means that the watches are fresh: a process that sees nothing is dead."""
        ages = ", ".join(f"{path} {age:.0f} s" for path, age in self._watches.ages().items())
        return _answer(self._watches.fresh, f"watches opened ago: {ages}")

    async def _readyz(self, request: web.Request) -> web.Response:
        """Ready means that everything has been listed; a standby is ready too."""
        role = "leading" if self._leading() else "standing by"
        ready = self._listing.complete
        words = role if ready else "listing"
        return _answer(ready, ": ".join(filter(None, (words, self._fault()))))

    async def _serve_metrics(self, request: web.Request) -> web.Response:
        return web.Response(
            body=self._metrics.text(), headers={"Content-Type": "text/plain; version=0.0.4"}
        )


def _answer(good: bool, words: str) -> web.Response:
    status = HTTPStatus.OK if good else HTTPStatus.SERVICE_UNAVAILABLE
    return web.Response(status=status, text=words + "\n")
