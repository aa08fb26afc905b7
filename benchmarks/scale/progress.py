"""Status lag: so many trainings that run and report, each with its pod's own token."""

import asyncio
import base64
import ssl
import time
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import aiohttp

from benchmarks.scale.subjects import PROGRESS_URL
from splat_operator.act import ApiClient
from splat_operator.api import names
from splat_trainer.contract.progress import REPORT_AFTER_HEADER

Raw = Mapping[str, Any]

_SECRET = "splat-operator-progress"  # noqa: S105 - its name
_JOIN_SECONDS = 10.0
"""Trainers begin one after the other."""
_UNTOLD_SECONDS = 2.0


@dataclass
class _Pod:
    """One training's reports: when each iteration was reported, and which is shown."""

    reported: dict[int, float] = field(default_factory=dict)
    untold: dict[int, float] = field(default_factory=dict)
    shown: int = 0


@dataclass
class Lag:
    """How old what is shown is.

    `shown` holds the age of each report that was ever shown, when this process saw it. `told` has
    the time from each report, shown or not, until it or a newer one was seen. `looked_at` has the
    age of what is shown for each training at even moments, whether anything changed or not.
    """

    shown: list[float] = field(default_factory=list)
    told: list[float] = field(default_factory=list)
    looked_at: list[float] = field(default_factory=list)
    answers: Counter[int] = field(default_factory=Counter)
    pauses: list[float] = field(default_factory=list)
    counts_until: float = float("inf")
    """What is shown later is no part of them: all have stopped, and what they reported last waits
    for reports that never come."""
    counts_from: float = float("inf")
    """Reports before this monotonic time are no part of the figures: first reports cost a review
    of the token each, and the operator has yet to learn what the server takes."""
    pods: dict[str, _Pod] = field(default_factory=lambda: defaultdict(_Pod))

    def training(self, kind: str, raw: Raw) -> None:
        """Take in a SplatTraining."""
        del kind
        now, pod = time.monotonic(), self.pods[raw["metadata"]["name"]]
        shown = ((raw.get("status") or {}).get("progress") or {}).get("iteration", 0)
        if shown <= pod.shown:
            return
        pod.shown = shown
        if now > self.counts_until:
            return
        if pod.reported[shown] >= self.counts_from:
            self.shown.append(now - pod.reported[shown])
        for iteration in [one for one in pod.untold if one <= shown]:
            reported = pod.untold.pop(iteration)
            if reported >= self.counts_from:
                self.told.append(now - reported)

    async def look(self, until: float) -> None:
        """Look at all of them twice a second."""
        await asyncio.sleep(self.counts_from - time.monotonic())
        while (now := time.monotonic()) < until:
            self.looked_at += [
                now - pod.reported[pod.shown] for pod in self.pods.values() if pod.shown
            ]
            await asyncio.sleep(0.5)


async def trust(client: ApiClient, namespace: str) -> ssl.SSLContext:
    """Give what the endpoint is checked with, as a pod is given it."""
    secret = await client.get(f"/api/v1/namespaces/{namespace}/secrets/{_SECRET}")
    return ssl.create_default_context(cadata=base64.b64decode(secret["data"]["ca.crt"]).decode())


async def tokens(client: ApiClient, pods: list[Raw]) -> dict[str, str]:
    """Give each training's token: bound to its pod, as the kubelet makes it."""
    found: dict[str, str] = {}
    turn = asyncio.Semaphore(8)

    async def one(pod: Raw) -> None:
        metadata = pod["metadata"]
        bound = {
            "kind": "Pod",
            "apiVersion": "v1",
            "name": metadata["name"],
            "uid": metadata["uid"],
        }
        body = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"audiences": [names.PROGRESS_AUDIENCE], "boundObjectRef": bound},
        }
        path = f"/api/v1/namespaces/{metadata['namespace']}/serviceaccounts/default/token"
        async with turn:
            answer = await client.create(path, body)
        found[metadata["labels"][names.TRAINING_LABEL]] = answer["status"]["token"]

    await asyncio.gather(*map(one, pods))
    return found


async def report(
    known: Mapping[str, str],
    namespace: str,
    context: ssl.SSLContext,
    lag: Lag,
    *,
    every: float,
    until: float,
) -> None:
    """Report for each training as its trainer does: when it is told to, or every so often."""
    connector = aiohttp.TCPConnector(limit=0, ssl=context)
    async with aiohttp.ClientSession(connector=connector, trust_env=False) as session:

        async def one(number: int, name: str, token: str) -> None:
            url = f"{PROGRESS_URL}/v1/namespaces/{namespace}/trainings/{name}/progress"
            headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
            pod, iteration = lag.pods[name], 0
            await asyncio.sleep(_JOIN_SECONDS * number / len(known))
            while time.monotonic() < until:
                iteration += 100
                pod.reported[iteration] = pod.untold[iteration] = time.monotonic()
                async with session.post(url, data=_body(iteration), headers=headers) as answer:
                    lag.answers[answer.status] += 1
                    if answer.status != HTTPStatus.NO_CONTENT:
                        pod.untold.pop(iteration, None)
                    told = float(answer.headers.get(REPORT_AFTER_HEADER, _UNTOLD_SECONDS))
                lag.pauses.append(told)
                since = time.monotonic() - pod.reported[iteration]
                await asyncio.sleep(max(0.0, every - since) if every else told)

        await asyncio.gather(
            lag.look(until), *(one(n, name, token) for n, (name, token) in enumerate(known.items()))
        )


def _body(iteration: int) -> bytes:
    """Give a report as a trainer sends it in the middle of its work."""
    return (
        b'{"stage":"Training","iteration":%d,"iterations":30000,"iterationsPerSecond":212.4,'
        b'"etaSeconds":121.5,"loss":0.03412,"psnr":27.113,"gaussians":%d,'
        b'"gpuMemoryBytes":2713551872}' % (iteration, 500_000 + iteration)
    )
