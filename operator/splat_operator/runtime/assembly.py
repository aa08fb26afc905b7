"""Puts the operator's parts together and runs them until it is asked to stop."""

import asyncio
import contextlib
import secrets
import socket
from collections.abc import AsyncIterator, Callable
from urllib.parse import urlsplit

import kopf

from splat_operator.act import Actor, ApiClient, Definition
from splat_operator.progress import (
    IdentitySecret,
    ProgressEndpoint,
    ProgressServer,
    ProgressWriter,
    TokenReviewer,
)
from splat_operator.runtime.connection import open_session
from splat_operator.runtime.handlers import registry, streams
from splat_operator.runtime.health import HealthServer
from splat_operator.runtime.key_queue import KeyQueue, Reconcile
from splat_operator.runtime.kopf_decoding import decode_watches
from splat_operator.runtime.kopf_settings import kopf_settings
from splat_operator.runtime.leader import Leader
from splat_operator.runtime.listing import Listing
from splat_operator.runtime.metrics import Metrics
from splat_operator.runtime.reconciler import Reconciler
from splat_operator.runtime.settings import Settings
from splat_operator.runtime.store import Key, Store
from splat_operator.runtime.sweep import Sweeper
from splat_operator.runtime.token_audiences import token_audiences
from splat_operator.runtime.watched import watched_paths
from splat_operator.runtime.watches import Watches
from splat_operator.world import ClaimTemplate, Installation, KernelCacheSettings, Training

_AT_A_TIME = 50
"""Trainings looked at before others have a turn."""


async def operate(
    settings: Settings,
    client: ApiClient,
    definition: Definition,
    info: kopf.ConnectionInfo,
    metrics: Metrics,
) -> None:
    """Run the operator; returns when the process is asked to stop, raises if a part fails."""
    store = Store()
    actor = Actor(client, socket.gethostname(), definition)
    async with _progress(settings, client, store, actor, metrics) as trust:
        installation = _telling(settings, trust, token_audiences(info.token), definition)
        reconciler = Reconciler(store, actor, installation, metrics)
        watched = watched_paths(settings.namespaces, settings.watches_nodes)
        watches = Watches(
            frozenset(watched), lambda path, since: sweeper.start(watched[path], since)
        )
        queue = KeyQueue(_where_seen(watches, reconciler), urgent=store.awaits_its_job)
        sweeper = Sweeper(store, queue, client)
        listing = Listing(lambda: watches.all_opened)
        metrics.watch_store(store.phases, watches.ages)
        metrics.watch_news(lambda: actor.events_lost)
        metrics.kernels.watch_caches(store.kernels.cache_bytes)
        store.kernels.told = metrics.kernels.build_ended
        leader = Leader(client, settings.namespace, settings.lease_name, _identity())
        health = HealthServer(
            settings.http_port,
            watches,
            listing,
            metrics,
            lambda: leader.leading or not settings.leader_election,
            lambda: "; ".join(filter(None, (definition.fault, watches.fault))),
        )

        add_all = definition.changed = watches.regained = _adding(store, queue)

        async def lead() -> None:
            await listing.wait()
            await _look_at_kernels(store, installation())
            add_all()
            await queue.run(settings.workers)

        await health.start()
        work = asyncio.create_task(
            leader.run(lead) if settings.leader_election else lead(), name="reconciling"
        )
        stopping = asyncio.Event()
        decode_watches()
        watch = asyncio.create_task(
            kopf.operator(
                registry=registry(
                    store, queue, listing, lambda: _kopf_session(info, watches), stopping.set
                ),
                settings=kopf_settings(),
                clusterwide=not settings.namespaces,
                namespaces=settings.namespaces,
                standalone=True,
            ),
            name="watching",
        )
        session = open_session(info, watches.trace())
        parts = [work]
        for stream in streams(store, queue, session, info.server, watched):
            parts.append(asyncio.create_task(stream.run(), name="stream"))
        stop = asyncio.create_task(stopping.wait(), name="stopping")
        try:
            # kopf is asked to stop, by a signal; anything else that ends is a fault.
            await asyncio.wait({*parts, watch, stop}, return_when=asyncio.FIRST_COMPLETED)
            for part in parts:
                if part.done():
                    part.result()
        finally:
            for task in (*parts, stop):
                task.cancel()
            await asyncio.gather(*parts, stop, return_exceptions=True)
            await session.close()
            if settings.leader_election:
                await leader.release()
            await actor.close()
            if not stopping.is_set():
                watch.cancel()
            # It gives all tasks of this process five seconds to end; the lease is free by then.
            await asyncio.gather(watch, return_exceptions=True)
            await health.close()
        if not watch.cancelled():
            watch.result()


def _adding(store: Store, queue: KeyQueue) -> Callable[..., None]:
    """Give what asks for a reconcile of all trainings, or of those of one namespace."""

    def add_all(namespace: str = "") -> None:
        for key in store.training_keys():
            if namespace in ("", key.namespace):
                queue.add(key)

    return add_all


async def _look_at_kernels(store: Store, installation: Installation) -> None:
    """Have it known what every training needs of the caches.

    The first Job that a new leader makes may have to make room in one, and must not delete what
    trainings that it has not looked at yet find there.
    """
    for number, key in enumerate(store.training_keys(), start=1):
        store.look_at_kernels(key, installation)
        if number % _AT_A_TIME == 0:
            await asyncio.sleep(0)


def _where_seen(watches: Watches, reconciler: Reconciler) -> Reconcile:
    """Leave alone what is in a namespace that cannot be seen; it comes again when it can."""

    async def reconcile(key: Key) -> float | None:
        return None if watches.blind(key.namespace) else await reconciler.reconcile(key)

    return reconcile


@contextlib.asynccontextmanager
async def _progress(
    settings: Settings, client: ApiClient, store: Store, actor: Actor, metrics: Metrics
) -> AsyncIterator[Callable[[], str]]:
    """Serve the progress endpoint, if there is to be one; gives whom pods are to trust now."""
    host = urlsplit(settings.progress_url).hostname
    if not host:
        yield lambda: ""
        return
    writer = ProgressWriter(actor.write_report, written=metrics.progress_age.observe)

    def find_training(namespace: str, name: str, pod_uid: str) -> Training | None:
        return store.trained_by(Key(namespace, name), pod_uid)

    reviewer = TokenReviewer(client)
    endpoint = ProgressEndpoint(reviewer, find_training, writer, metrics.progress_answered)
    secret = IdentitySecret(client, settings.namespace, settings.progress_secret, host)
    server = ProgressServer(endpoint.application(), settings.progress_port, secret)
    await server.start()
    try:
        yield lambda: server.trust
    finally:
        await writer.close()
        await server.close()


def _telling(
    settings: Settings,
    trust: Callable[[], str],
    audiences: tuple[str, ...],
    definition: Definition,
) -> Callable[[], Installation]:
    """Give what tells the installation as it is at any moment."""
    return lambda: _installation(settings, trust(), audiences, definition.fault)


def _installation(
    settings: Settings, trust: str, audiences: tuple[str, ...], definition_fault: str
) -> Installation:
    return Installation(
        trainer_image=settings.trainer_image,
        progress_url=settings.progress_url,
        progress_ca=trust,
        api_audiences=audiences,
        kernel_cache=_kernel_cache(settings),
        definition_fault=definition_fault,
    )


def _kernel_cache(settings: Settings) -> KernelCacheSettings:
    template = ClaimTemplate(
        size=settings.kernel_cache_claim_size,
        access_modes=settings.kernel_cache_claim_access_modes,
        storage_class=settings.kernel_cache_claim_storage_class,
    )
    return KernelCacheSettings(
        in_image=settings.kernel_cache_in_image,
        claim_name=settings.kernel_cache_claim,
        path=settings.kernel_cache_path,
        node_path=settings.kernel_cache_node_path,
        claim_template=template if template.size else None,
        architectures=settings.kernel_cache_architectures,
        on_miss=settings.kernel_cache_on_miss,
        max_bytes=settings.kernel_cache_max_size,
        resources=settings.kernel_cache_resources,
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
