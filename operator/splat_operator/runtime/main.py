"""The operator's process: settings, logging, the way to the API server; then `assembly` runs."""

import asyncio
import gc
import logging
import os
import socket
import sys
from asyncio.sslproto import SSLProtocol

import aiohttp
import kopf

from splat_operator.act import ApiClient, ApiError, Definition
from splat_operator.api import names
from splat_operator.runtime.assembly import operate
from splat_operator.runtime.connection import connection_info, open_session
from splat_operator.runtime.logs import configure_logging
from splat_operator.runtime.metrics import Metrics
from splat_operator.runtime.settings import Settings, SettingsError, read_settings

logger = logging.getLogger(__name__)

_CRD_POLL_SECONDS = 5.0
_GC_THRESHOLDS = (7_000, 10, 10)
_TLS_READ_BYTES = 32 * 1024
"""asyncio keeps a buffer of this size for each TLS connection: at its own 256 KiB, five hundred
trainers that report would hold 125 MiB."""


def main() -> None:
    """Run the operator; the console entry."""
    try:
        settings = read_settings(sys.argv[1:], os.environ)
    except SettingsError as error:
        sys.exit(f"splat-operator: {error}")
    configure_logging(settings)
    # Thousands of objects are kept for good and none of them is in a cycle; the collector would
    # walk through them all again and again.
    gc.set_threshold(*_GC_THRESHOLDS)
    SSLProtocol.max_size = _TLS_READ_BYTES
    # kopf names itself by this, or else by its user, which an arbitrary uid has no name for.
    os.environ.setdefault("POD_ID", socket.gethostname())
    try:
        asyncio.run(_run(settings))
    except (kopf.LoginError, ApiError, aiohttp.ClientError) as error:
        sys.exit(f"splat-operator: {type(error).__name__}: {error}")


async def _run(settings: Settings) -> None:
    info = connection_info()
    metrics = Metrics()
    async with open_session(info) as session:
        client = ApiClient(session, info.server, metrics.api_request)
        await _wait_for_the_crd(client)
        definition = Definition(client)
        metrics.crd_lacking.set_function(lambda: len(definition.lacking))
        async with definition.looked_at():
            await operate(settings, client, definition, info, metrics)


async def _wait_for_the_crd(client: ApiClient) -> None:
    """kopf looks once what there is to watch, so that must be there first."""
    said = False
    while True:
        try:
            await client.get(f"/apis/{names.GROUP}/{names.VERSION}")
            return
        except ApiError as error:
            if not error.gone:
                raise
        if not said:
            logger.warning("the CRD %s.%s is not installed; waiting", names.PLURAL, names.GROUP)
            said = True
        await asyncio.sleep(_CRD_POLL_SECONDS)
