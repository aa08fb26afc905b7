"""Runs the endpoint with TLS, and keeps its certificate fresh."""

import asyncio
import logging
import ssl
import tempfile

import aiohttp
from aiohttp import web

from splat_operator.act import ApiError
from splat_operator.progress.certificates import Identity, Pair
from splat_operator.progress.endpoint import KEPT_OPEN_SECONDS
from splat_operator.progress.identity_secret import IdentitySecret

logger = logging.getLogger(__name__)

_RENEWAL_SECONDS = 6 * 3600
_LINGER_SECONDS = 2.0
"""So long the rest of a refused report is read, so that its sender reads the answer."""
_SHUTDOWN_SECONDS = 1.0
"""So long, and once more, reports that are on their way are waited for at the end."""


class ProgressServer:
    """The endpoint's TLS server. `trust` is what pods are to check it with."""

    def __init__(
        self, application: web.Application, port: int, identity_secret: IdentitySecret
    ) -> None:
        self._application = application
        self._port = port
        self._secret = identity_secret
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.minimum_version = ssl.TLSVersion.TLSv1_3
        self._identity: Identity | None = None
        self._runner: web.AppRunner | None = None
        self._renewal: asyncio.Task[None] | None = None

    @property
    def trust(self) -> str:
        """The certificate authorities, PEM; empty before `start`."""
        return self._identity.trust if self._identity else ""

    async def start(self) -> None:
        """Listen. Raises ApiError where the Secret cannot be read or made."""
        await self._renew()
        # A report is small and quick; whoever dawdles loses the connection.
        self._runner = web.AppRunner(
            self._application,
            access_log=None,
            keepalive_timeout=KEPT_OPEN_SECONDS + 5,
            lingering_time=_LINGER_SECONDS,
            shutdown_timeout=_SHUTDOWN_SECONDS,
        )
        await self._runner.setup()
        site = web.TCPSite(self._runner, port=self._port, ssl_context=self._context)
        await site.start()
        self._renewal = asyncio.create_task(self._keep_fresh(), name="certificate renewal")

    async def close(self) -> None:
        """Stop listening."""
        if self._renewal:
            self._renewal.cancel()
        if self._runner:
            await self._runner.cleanup()

    async def _keep_fresh(self) -> None:
        while True:
            await asyncio.sleep(_RENEWAL_SECONDS)
            try:
                await self._renew()
            except (ApiError, aiohttp.ClientError, TimeoutError) as error:
                logger.warning("the progress certificate is not checked: %s", error)

    async def _renew(self) -> None:
        identity = await self._secret.identity()
        if identity != self._identity:
            _load(self._context, identity.serving)
            self._identity = identity


def _load(context: ssl.SSLContext, pair: Pair) -> None:
    """Serve with a certificate from now on; ssl reads keys from files only."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(pair.certificate + pair.key)
        file.flush()
        context.load_cert_chain(file.name)
