"""How fast the operator is, on a real API server: `python -m benchmarks.operator --help`.

It speaks to the cluster of $KUBECONFIG, on which the operator must be installed, makes
SplatTrainings in a namespace of its own and watches what comes of them:

- suspended ones (the default): from the making of a SplatTraining to its Job, and to its status;
- with --image, an image that ends at once: also from the pod's end to `Succeeded`.

Times are those at which this process saw each thing, through watches of its own, so they include
the API server's and this machine's share. With --metrics, the address of a replica's /metrics,
the operator's memory and API requests are told too.
"""

import argparse
import asyncio
import json
import os
import statistics
import time
import urllib.request
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from splat_operator.act import ApiClient
from splat_operator.api import names
from splat_operator.runtime.connection import connection_info, open_session

Raw = Mapping[str, Any]

_TRAININGS = f"/apis/{names.GROUP}/{names.VERSION}"
_AT_ONCE = 16


@dataclass
class Seen:
    """When each training came to each of its milestones, by its name."""

    made: dict[str, float] = field(default_factory=dict)
    job: dict[str, float] = field(default_factory=dict)
    status: dict[str, float] = field(default_factory=dict)
    pod_ended: dict[str, float] = field(default_factory=dict)
    ended: dict[str, float] = field(default_factory=dict)

    def training(self, raw: Raw) -> None:
        """Take in a SplatTraining."""
        name, phase = raw["metadata"]["name"], raw.get("status", {}).get("phase")
        if phase:
            self.status.setdefault(name, time.monotonic())
        if phase in ("Succeeded", "Failed"):
            self.ended.setdefault(name, time.monotonic())

    def job_seen(self, raw: Raw) -> None:
        """Take in a Job."""
        self.job.setdefault(raw["metadata"]["labels"][names.TRAINING_LABEL], time.monotonic())

    def pod(self, raw: Raw) -> None:
        """Take in a pod."""
        if raw["status"].get("phase") in ("Succeeded", "Failed"):
            name = raw["metadata"]["labels"][names.TRAINING_LABEL]
            self.pod_ended.setdefault(name, time.monotonic())


async def _watch(session: aiohttp.ClientSession, address: str, take: Callable[[Raw], None]) -> None:
    parameters = {"watch": "true", "resourceVersion": "0"}
    timeout = aiohttp.ClientTimeout(total=None)
    async with session.get(address, params=parameters, timeout=timeout) as response:
        async for line in response.content:
            take(json.loads(line)["object"])


def _training(name: str, image: str | None) -> dict[str, Any]:
    claim = {"persistentVolumeClaim": {"claimName": "none"}}
    source = {"s3": {"uri": "s3://none/none"}} if image else claim
    spec: dict[str, Any] = {
        "source": source,
        "output": source,
        "resources": {"gpus": 0},
        "suspend": image is None,
        "maxRetries": 0,
    }
    if image:
        spec["image"] = image
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.KIND,
        "metadata": {"name": name},
        "spec": spec,
    }


async def _make(client: ApiClient, path: str, count: int, image: str | None, seen: Seen) -> None:
    turn = asyncio.Semaphore(_AT_ONCE)

    async def one(number: int) -> None:
        name = f"t{number:05}"
        async with turn:
            seen.made[name] = time.monotonic()
            await client.create(path, _training(name, image))

    await asyncio.gather(*(one(number) for number in range(count)))


async def _until(what: str, done: Callable[[], int], count: int, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while done() < count:
        if time.monotonic() > deadline:
            raise SystemExit(f"after {seconds:.0f} s {what} of {done()} in {count} only")
        await asyncio.sleep(0.05)


async def _measure(arguments: argparse.Namespace) -> None:
    namespace, seen = f"benchmark-{uuid.uuid4().hex[:8]}", Seen()
    count: int = arguments.trainings
    info = connection_info()
    async with open_session(info) as session:
        client = ApiClient(session, info.server)
        await client.create(
            "/api/v1/namespaces",
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}},
        )
        path = f"{_TRAININGS}/namespaces/{namespace}/{names.PLURAL}"
        watched = (
            (path, seen.training),
            (f"/apis/batch/v1/namespaces/{namespace}/jobs", seen.job_seen),
            (f"/api/v1/namespaces/{namespace}/pods", seen.pod),
        )
        watches = [
            asyncio.create_task(_watch(session, info.server + where, take))
            for where, take in watched
        ]
        try:
            before = _metrics(arguments.metrics)
            started = time.monotonic()
            await _make(client, path, count, arguments.image, seen)
            made = time.monotonic() - started
            await _until("Jobs", lambda: len(seen.job), count, arguments.timeout)
            jobs = max(seen.job.values()) - started
            await _until("statuses", lambda: len(seen.status), count, arguments.timeout)
            if arguments.image:
                await _until("ends", lambda: len(seen.ended), count, arguments.timeout)
            await asyncio.sleep(2)
            after = _metrics(arguments.metrics)
        finally:
            for task in watches:
                task.cancel()
            uid = (await client.get(f"/api/v1/namespaces/{namespace}"))["metadata"]["uid"]
            await client.delete(f"/api/v1/namespaces/{namespace}", uid=uid)
    _tell(count, made, jobs, seen, before, after)


def _tell(
    count: int,
    made: float,
    jobs: float,
    seen: Seen,
    before: dict[str, float],
    after: dict[str, float],
) -> None:
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    print(f"{count} trainings on {os.cpu_count()} cores, load {load}")
    print(f"made in {made:.2f} s ({count / made:.0f}/s), all Jobs after {jobs:.2f} s "
          f"({count / jobs:.0f}/s)")  # fmt: skip
    _spread("made to Job", seen.made, seen.job)
    _spread("made to status", seen.made, seen.status)
    if seen.ended:
        _spread("pod's end to the end told", seen.pod_ended, seen.ended)
    if after:
        cpu = after["process_cpu_seconds_total"] - before["process_cpu_seconds_total"]
        memory = after["process_resident_memory_bytes"] / 2**20
        print(f"the operator: {1000 * cpu / count:.1f} ms of CPU a training, {memory:.0f} MiB")
        for name, value in sorted(after.items()):
            if name.startswith("splat_operator_api_requests_total"):
                each = (value - before.get(name, 0)) / count
                print(f"API requests a training: {each:5.2f} {name.partition('{')[2][:-1]}")


def _spread(what: str, start: dict[str, float], end: dict[str, float]) -> None:
    times = sorted(end[name] - start[name] for name in end if name in start)
    if not times:
        return
    p99 = times[min(len(times) - 1, int(len(times) * 0.99))]
    print(f"{what}: median {statistics.median(times):.3f} s, p99 {p99:.3f} s, "
          f"longest {times[-1]:.3f} s")  # fmt: skip


def _metrics(address: str | None) -> dict[str, float]:
    """Read a replica's metrics; empty where no address is given."""
    if not address:
        return {}
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(address, timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    pairs = (line.rpartition(" ") for line in lines if not line.startswith("#"))
    return {name: float(value) for name, _, value in pairs}


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--trainings", type=int, default=200, metavar="N")
    parser.add_argument("--image", help="run this image, which must end at once with exit code 0")
    parser.add_argument("--metrics", metavar="URL", help="such as http://127.0.0.1:8080/metrics")
    parser.add_argument("--timeout", type=float, default=300, metavar="SECONDS")
    asyncio.run(_measure(parser.parse_args()))


if __name__ == "__main__":
    main()
