"""Status lag: so many trainings that run and report, each with its pod's own token."""

import asyncio
import base64
import ssl
import time
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from benchmarks.scale.subjects import PROGRESS_URL
from splat_operator.act import ApiClient
from splat_operator.api import names
from splat_trainer.contract import ProgressDocument

Raw = Mapping[str, Any]

_SECRET = "splat-operator-progress"  # noqa: S105 - its name
_ITERATIONS = 30_000


@dataclass
class Lag:
    """When each iteration was reported, and how long it took to be seen in the status."""

    reported: dict[str, dict[int, float]] = field(default_factory=lambda: defaultdict(dict))
    seen: list[float] = field(default_factory=list)
    counts_from: float = 0.0
    """Reports before this monotonic time are no part of the figures: first reports cost a review
    of the token each."""
    answers: Counter[int] = field(default_factory=Counter)
    posts: int = 0

    def training(self, kind: str, raw: Raw) -> None:
        """Take in a SplatTraining: whatever is not newer than it shows has been seen by now."""
        del kind
        shown = ((raw.get("status") or {}).get("progress") or {}).get("iteration")
        waiting = self.reported[raw["metadata"]["name"]]
        now = time.monotonic()
        for iteration in [one for one in waiting if shown is not None and one <= shown]:
            reported = waiting.pop(iteration)
            if reported >= self.counts_from:
                self.seen.append(now - reported)

    @property
    def unseen(self) -> int:
        """How many reports no status shows yet."""
        return sum(map(len, self.reported.values()))


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
    seconds: float,
) -> None:
    """Report for each training at an even pace, all of them out of step with each other."""
    ends = time.monotonic() + seconds
    connector = aiohttp.TCPConnector(limit=0, ssl=context)
    async with aiohttp.ClientSession(connector=connector, trust_env=False) as session:

        async def one(number: int, name: str, token: str) -> None:
            url = f"{PROGRESS_URL}/v1/namespaces/{namespace}/trainings/{name}/progress"
            headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
            await asyncio.sleep(every * number / len(known))
            iteration = 0
            while time.monotonic() < ends:
                started = time.monotonic()
                iteration += 100
                document = ProgressDocument.model_validate(
                    {"stage": "Training", "iteration": iteration, "iterations": _ITERATIONS}
                )
                lag.posts += 1
                lag.reported[name][iteration] = started
                body = document.model_dump_json(by_alias=True, exclude_none=True)
                async with session.post(url, data=body, headers=headers) as answer:
                    lag.answers[answer.status] += 1
                    if answer.status != 204:
                        lag.reported[name].pop(iteration, None)
                await asyncio.sleep(max(0.0, every - (time.monotonic() - started)))

        await asyncio.gather(
            *(one(n, name, token) for n, (name, token) in enumerate(known.items()))
        )
