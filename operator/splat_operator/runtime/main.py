"""The operator's process: puts the parts together and runs them."""

import asyncio
import contextlib
import logging
import os
import secrets
import socket
import sys
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import aiohttp
import kopf

from splat_operator.act import Actor, ApiClient, ApiError
from splat_operator.api import names
from splat_operator.progress import (
    IdentitySecret,
    ProgressEndpoint,
    ProgressServer,
    ProgressWriter,
    Target,
    TokenReviewer,
)
from splat_operator.runtime.connection import connection_info, open_session
from splat_operator.runtime.handlers import ALL_WATCHED, registry
from splat_operator.runtime.health import HealthServer
from splat_operator.runtime.key_queue import KeyQueue
from splat_operator.runtime.kopf_settings import kopf_settings
from splat_operator.runtime.leader import Leader
from splat_operator.runtime.logs import configure_logging
from splat_operator.runtime.metrics import Metrics
from splat_operator.runtime.reconciler import Reconciler
from splat_operator.runtime.settings import Settings, SettingsError, read_settings
from splat_operator.runtime.store import Key, Store
from splat_operator.runtime.watches import Watches
from splat_operator.world import Installation, KernelCacheClaim

logger = logging.getLogger(__name__)

_CRD_POLL_SECONDS = 5.0


def main() -> None:
    """Run the operator; the console entry."""
    try:
        settings = read_settings(sys.argv[1:], os.environ)
    except SettingsError as error:
        sys.exit(f"splat-operator: {error}")
    configure_logging(settings)
    # kopf names itself by this, or else by its user, which an arbitrary uid has no name for.
    os.environ.setdefault("POD_ID", socket.gethostname())
    try:
        asyncio.run(_run(settings))
    except (kopf.LoginError, ApiError, aiohttp.ClientError) as error:
        sys.exit(f"splat-operator: {type(error).__name__}: {error}")


async def _run(settings: Settings) -> None:
    info = connection_info()
    async with open_session(info) as session:
        client = ApiClient(session, info.server)
        await _wait_for_the_crd(client)
        await _operate(settings, client, info)


async def _operate(settings: Settings, client: ApiClient, info: kopf.ConnectionInfo) -> None:
    store, metrics = Store(), Metrics()
    served = settings.namespaces or (None,)
    watches = Watches(frozenset(one.path(ns) for one in ALL_WATCHED for ns in served))
    metrics.watch_store(store.phases, watches.ages)
    actor = Actor(client, socket.gethostname())
    leader = Leader(client, settings.namespace, settings.lease_name, _identity())
    async with _progress(settings, client, store, actor) as trust:
        reconciler = Reconciler(store, actor, lambda: _installation(settings, trust), metrics)
        queue = KeyQueue(reconciler.reconcile)
        health = HealthServer(
            settings.http_port,
            watches,
            metrics,
            lambda: leader.leading or not settings.leader_election,
        )
        await health.start()

        async def lead() -> None:
            for key in store.training_keys():
                queue.add(key)
            await queue.run(settings.workers)

        work = asyncio.create_task(
            leader.run(lead) if settings.leader_election else lead(), name="reconciling"
        )
        watch = asyncio.create_task(
            kopf.operator(
                registry=registry(store, queue, lambda: _kopf_session(info, watches)),
                settings=kopf_settings(),
                clusterwide=not settings.namespaces,
                namespaces=settings.namespaces,
                standalone=True,
            ),
            name="watching",
        )
        try:
            # kopf returns when the process is asked to stop; anything else that ends is a fault.
            await asyncio.wait({work, watch}, return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                work.result()
        finally:
            for task in (work, watch):
                task.cancel()
            await asyncio.gather(work, watch, return_exceptions=True)
            if settings.leader_election:
                await leader.release()
            await health.close()
        if not watch.cancelled():
            watch.result()


@contextlib.asynccontextmanager
async def _progress(
    settings: Settings, client: ApiClient, store: Store, actor: Actor
) -> AsyncIterator["_Trust"]:
    """Serve the progress endpoint, if there is to be one."""
    host = urlsplit(settings.progress_url).hostname
    if not host:
        yield _Trust(None)
        return
    writer = ProgressWriter(actor.write_progress)

    def find_target(namespace: str, name: str, pod_uid: str) -> Target | None:
        uid = store.own_running_pod(Key(namespace, name), pod_uid)
        return Target(namespace, name, uid) if uid else None

    endpoint = ProgressEndpoint(TokenReviewer(client), find_target, writer)
    secret = IdentitySecret(client, settings.namespace, settings.progress_secret, host)
    server = ProgressServer(endpoint.application(), settings.progress_port, secret)
    await server.start()
    try:
        yield _Trust(server)
    finally:
        await writer.close()
        await server.close()


class _Trust:
    """Whom pods are to trust, which changes as authorities are renewed."""

    def __init__(self, server: ProgressServer | None) -> None:
        self._server = server

    def __str__(self) -> str:
        return self._server.trust if self._server else ""


def _installation(settings: Settings, trust: _Trust) -> Installation:
    claim = settings.kernel_cache_claim
    return Installation(
        trainer_image=settings.trainer_image,
        progress_url=settings.progress_url,
        progress_ca=str(trust),
        kernel_cache=KernelCacheClaim(claim, settings.kernel_cache_path) if claim else None,
    )


def _kopf_session(info: kopf.ConnectionInfo, watches: Watches) -> kopf.AiohttpSession:
    """A session of kopf's own, which it closes when it logs in anew."""
    return kopf.AiohttpSession(
        server=info.server,
        aiohttp_session=open_session(info, watches.trace()),
        default_namespace=info.default_namespace,
    )


def _identity() -> str:
    return f"{socket.gethostname()}_{secrets.token_hex(4)}"


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
