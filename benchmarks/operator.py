"""How the operator grows, on a real API server: `python -m benchmarks.operator --help`.

It works on the cluster of $KUBECONFIG, on which no operator may run, defines the resources, and
starts everything that it measures as a process of its own: the operator,
and with --peer KubeRay; with --pods also kwok, on whose simulated nodes the pods start at once.
KubeRay and kwok are built from the Go module proxy. All are given the same resources: one pod
that asks for nothing.

Times are those at which this process saw each thing, through watches of its own, so they include
the API server's and this machine's share.
"""

import argparse
import asyncio
import contextlib
import json
import os
import signal
import subprocess
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from benchmarks.scale import observing, programs
from benchmarks.scale.observing import Raw, Times, between, spread, until
from benchmarks.scale.programs import Running
from benchmarks.scale.progress import Lag, report, tokens, trust
from benchmarks.scale.subjects import RAY, SPLAT, Subject
from splat_operator.act import ApiClient, ApiError
from splat_operator.api import names
from splat_operator.api.crd import custom_resource_definition
from splat_operator.runtime.connection import connection_info, open_session
from tests.cluster.errors import ClusterError

_AT_ONCE = 32
_NODES = 10
_WARM_UP = 30.0


@dataclass
class Seen:
    """When each resource came to each of its milestones, by its name."""

    subject: Subject
    made: Times = field(default_factory=dict)
    child: Times = field(default_factory=dict)
    status: Times = field(default_factory=dict)
    started: Times = field(default_factory=dict)
    runs: Times = field(default_factory=dict)
    pods: dict[str, Raw] = field(default_factory=dict)

    def resource(self, kind: str, raw: Raw) -> None:
        """Take in a resource."""
        del kind
        name, now = raw["metadata"]["name"], time.monotonic()
        if raw.get("status"):
            self.status.setdefault(name, now)
        if self.subject.runs(raw):
            self.runs.setdefault(name, now)

    def made_of_it(self, kind: str, raw: Raw) -> None:
        """Take in what was made for a resource."""
        del kind
        self.child.setdefault(raw["metadata"]["labels"][self.subject.label], time.monotonic())

    def pod(self, kind: str, raw: Raw) -> None:
        """Take in a pod."""
        del kind
        name = raw["metadata"]["labels"][self.subject.label]
        if raw["status"].get("phase") == "Running":
            self.started.setdefault(name, time.monotonic())
            self.pods[name] = raw


@dataclass
class Scene:
    """Where it is measured."""

    client: ApiClient
    session: aiohttp.ClientSession
    server: str
    namespace: str
    arguments: argparse.Namespace

    def address(self, group_version: str, plural: str) -> str:
        """Give the path of a collection in the benchmark's namespace."""
        root = "/api" if group_version == "v1" else "/apis"
        return f"{root}/{group_version}/namespaces/{self.namespace}/{plural}"

    async def make(self, seen: Seen, count: int, over: float, suspended: bool) -> float:
        """Make so many resources, spread over so many seconds; gives how long it took."""
        turn, started = asyncio.Semaphore(_AT_ONCE), time.monotonic()
        path = self.address(seen.subject.group_version, seen.subject.plural)

        async def one(number: int) -> None:
            name = f"t{number:05}"
            await asyncio.sleep(max(0.0, started + over * number / count - time.monotonic()))
            async with turn:
                seen.made[name] = time.monotonic()
                await self.client.create(path, seen.subject.body(name, suspended))

        await asyncio.gather(*(one(number) for number in range(count)))
        return time.monotonic() - started

    async def clear(self, subject: Subject) -> None:
        """Delete all resources, and what they own with them.

        A namespace that goes with Jobs that run takes long: their controller cannot replace the
        pods that go first, and goes on trying.
        """
        for path in (
            self.address(subject.group_version, subject.plural),
            self.address("batch/v1", "jobs"),
        ):
            query = {"propagationPolicy": "Background"}
            async with self.session.delete(self.server + path, params=query) as answer:
                answer.raise_for_status()

    @contextlib.asynccontextmanager
    async def watching(self, seen: Seen) -> AsyncIterator[None]:
        """Watch the resources and what is made of them."""
        subject = seen.subject
        resources = self.address(subject.group_version, subject.plural)
        watched = [
            (resources, seen.resource),
            (self.address(subject.child_group_version, subject.child), seen.made_of_it),
            (self.address("v1", "pods"), seen.pod),
        ]
        tasks = [
            asyncio.create_task(observing.watch(self.session, self.server + path, take))
            for path, take in watched
        ]
        try:
            yield
        finally:
            for task in tasks:
                if task.done():
                    task.result()
                task.cancel()


async def _burst(scene: Scene, subject: Subject, program: Running) -> None:
    """From the making of resources to what is made of them, and to their statuses."""
    arguments = scene.arguments
    count, seen = arguments.trainings, Seen(subject)
    async with scene.watching(seen):
        before, cpu = program.scraped(), program.cpu_seconds
        started = time.monotonic()
        made = await scene.make(seen, count, arguments.over, suspended=not arguments.pods)
        children = f"{subject.child} of {subject.name}"
        all_made = await until(children, lambda: len(seen.child), count, arguments.timeout)
        last = seen.runs if arguments.pods else seen.status
        told = await until("statuses", lambda: len(last), count, arguments.timeout)
        await asyncio.sleep(3)
        after, cpu = program.scraped(), program.cpu_seconds - cpu
    print(f"\n{subject.name}: {count} made in {made:.1f} s ({count / made:.0f}/s), {_load()}")
    waited, all_told = all_made - started, told - started
    print(f"all {subject.child} after {waited:.1f} s ({count / waited:.0f}/s), "
          f"all told after {all_told:.1f} s")  # fmt: skip
    print(spread(f"resource to its first of {subject.child}", between(seen.made, seen.child)))
    print(spread("resource to status", between(seen.made, seen.status)))
    if arguments.pods:
        print(spread("resource to a pod that runs", between(seen.made, seen.started)))
        print(spread("pod runs to the status that says so", between(seen.started, seen.runs)))
    memory = program.resident_bytes / 2**20
    print(f"{1000 * cpu / count:.1f} ms of CPU each, {memory:.0f} MiB resident")
    _tell_requests(subject, before, after, count)


async def _progress(scene: Scene, program: Running) -> None:
    """Status lag while trainings run and report."""
    arguments = scene.arguments
    count, seen, lag = arguments.running, Seen(SPLAT), Lag()
    async with scene.watching(seen):
        await scene.make(seen, count, count / 25, suspended=False)
        await until("pods that run", lambda: len(seen.pods), count, arguments.timeout)
        await until("statuses", lambda: len(seen.runs), count, arguments.timeout)
    known = await tokens(scene.client, list(seen.pods.values()))
    context = await trust(scene.client, scene.namespace)
    # One watch, and nothing else, is this benchmark's part from here on.
    resources = scene.server + scene.address(SPLAT.group_version, SPLAT.plural)
    watch = asyncio.create_task(observing.watch(scene.session, resources, lag.training))
    before, cpu, own = program.scraped(), program.cpu_seconds, time.process_time()
    started = time.monotonic()
    lag.counts_from = started + _WARM_UP
    ends = lag.counts_until = lag.counts_from + arguments.seconds
    await report(known, scene.namespace, context, lag, every=arguments.every, until=ends)
    seconds = time.monotonic() - started
    after, cpu, own = program.scraped(), program.cpu_seconds - cpu, time.process_time() - own
    watch.cancel()
    posts = lag.answers.total()
    pace = f"every {arguments.every:g} s" if arguments.every else "when they are told to"
    print(f"\n{count} trainings run and report {pace} for {seconds:.0f} s, {_load()}")
    print(f"{posts} reports ({posts / seconds:.0f}/s), answers {dict(lag.answers)}")
    print(spread("age of a report when it is shown", lag.shown))
    print("of them, by the operator's own count when the server had taken them: "
          f"{_within(before, after)}")  # fmt: skip
    print(spread("age of what is shown, at any moment", lag.looked_at))
    print(spread("report to a status that shows it or a newer one", lag.told))
    print(spread("told to report after", lag.pauses[len(lag.pauses) // 2 :]))
    print(f"{cpu / seconds:.2f} cores, {program.resident_bytes / 2**20:.0f} MiB resident; "
          f"the benchmark itself {own / seconds:.2f} cores")  # fmt: skip
    _tell_requests(SPLAT, before, after, posts)


async def _restart(scene: Scene, program: Running) -> None:
    """How soon a new process is ready, and what an unchanged world costs it."""
    ready = program.wait_for(SPLAT.ready)
    await asyncio.sleep(15)
    before = program.scraped()
    await asyncio.sleep(10)
    after = program.scraped()
    told = {name: value for name, value in after.items() if name.startswith("splat_training_phase")}
    writes = sum(
        value - before.get(name, 0)
        for name, value in after.items()
        if name.startswith(SPLAT.requests) and "leases" not in name
    )
    print(f"\nrestarted with {sum(told.values()):.0f} trainings: ready after {ready:.1f} s, "
          f"{program.resident_bytes / 2**20:.0f} MiB resident; {writes:.0f} requests in 10 s "
          f"but the Lease's, {_load()}")  # fmt: skip


def _within(before: Raw, after: Raw) -> str:
    """Give how many reports were no older than what, from the operator's histogram."""
    name = "splat_operator_progress_age_seconds"
    whole = after[f"{name}_count"] - before.get(f"{name}_count", 0)
    parts = []
    for bound in ("0.5", "1.0", "2.5", "5.0", "10.0"):
        key = f'{name}_bucket{{le="{bound}"}}'
        share = (after[key] - before.get(key, 0)) / max(1, whole)
        parts.append(f"{100 * share:.1f} % within {bound} s")
    return ", ".join(parts)


def _tell_requests(subject: Subject, before: Raw, after: Raw, count: int) -> None:
    for name, value in sorted(after.items()):
        each = (value - before.get(name, 0)) / count
        if name.startswith(subject.requests) and each >= 0.005:
            print(f"  requests each: {each:5.2f} {name.partition('{')[2][:-1]}")


def _load() -> str:
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    return f"{os.cpu_count()} cores, load {load}"


@contextlib.contextmanager
def _program(subject: Subject, namespace: str, folder: Path) -> Iterator[Running]:
    command, environment = subject.command(programs.inside_kubeconfig(), namespace)
    log = folder / f"{subject.name}.log"
    with programs.running(command, log, subject.metrics, **environment) as program:
        yield program


async def _measure(arguments: argparse.Namespace) -> None:
    info, folder = connection_info(), programs.scratch_folder()
    print(f"logs in {folder}")
    async with open_session(info) as session:
        client = ApiClient(session, info.server)
        for subject in (SPLAT, *([RAY] if arguments.peer else [])):
            namespace = f"benchmark-{uuid.uuid4().hex[:8]}"
            scene = Scene(client, session, info.server, namespace, arguments)
            _define(subject)
            body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
            await client.create("/api/v1/namespaces", body)
            with contextlib.ExitStack() as stack:
                if arguments.pods or arguments.running:
                    kubeconfig = programs.inside_kubeconfig()
                    stack.enter_context(
                        programs.simulated_nodes(kubeconfig, folder, pods_end=False)
                    )
                    await _make_nodes(client)
                with _program(subject, namespace, folder) as program:
                    program.wait_for(subject.ready)
                    await asyncio.sleep(3)  # the Lease
                    if arguments.running:
                        await _progress(scene, program)
                    else:
                        await _burst(scene, subject, program)
                if subject is SPLAT and arguments.restart:
                    with _program(subject, namespace, folder) as program:
                        await _restart(scene, program)
                if not arguments.keep:  # while kwok still ends the pods
                    await scene.clear(subject)
                    uid = (await client.get(f"/api/v1/namespaces/{namespace}"))["metadata"]["uid"]
                    await client.delete(f"/api/v1/namespaces/{namespace}", uid=uid)
                    await _gone(client, namespace, arguments.timeout)


async def _gone(client: ApiClient, namespace: str, seconds: float) -> None:
    """Wait until a namespace is gone, so that its end is no load on what is measured next."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            await client.get(f"/api/v1/namespaces/{namespace}")
        except ApiError as error:
            if error.gone:
                return
        await asyncio.sleep(1)


def _define(subject: Subject) -> None:
    """Define the resource on the cluster as this code has it."""
    apply = ["kubectl", "apply", "--server-side", "--force-conflicts", "--filename"]
    folder = subject.definitions()
    if folder:
        subprocess.run([*apply, str(folder)], check=True, stdout=subprocess.DEVNULL)
        return
    ours = json.dumps(custom_resource_definition())
    subprocess.run([*apply, "-"], check=True, stdout=subprocess.DEVNULL, input=ours, text=True)
    established = [
        "kubectl",
        "wait",
        "--for=condition=Established",
        f"crd/{names.PLURAL}.{names.GROUP}",
    ]
    subprocess.run(established, check=True, stdout=subprocess.DEVNULL)


async def _make_nodes(client: ApiClient) -> None:
    for number in range(_NODES):
        try:
            await client.create("/api/v1/nodes", programs.node(number))
        except ApiError as error:
            if not error.conflict:
                raise


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--trainings", type=int, default=1000, metavar="N")
    parser.add_argument("--over", type=float, default=0, metavar="SECONDS", help="make them evenly")
    parser.add_argument("--pods", action="store_true", help="not suspended, on simulated nodes")
    parser.add_argument("--peer", action="store_true", help="then KubeRay, on the same")
    parser.add_argument("--restart", action="store_true", help="then a fresh process on the same")
    parser.add_argument("--running", type=int, default=0, metavar="N", help="status lag of so many")
    parser.add_argument(
        "--every",
        type=float,
        default=0,
        metavar="SECONDS",
        help="each reports, whatever it is told",
    )
    parser.add_argument("--seconds", type=float, default=30, help="for so long")
    parser.add_argument("--timeout", type=float, default=300, metavar="SECONDS")
    parser.add_argument("--keep", action="store_true", help="leave the namespace as it is")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        asyncio.run(_measure(parser.parse_args()))
    except ClusterError as error:  # a program that could not be built
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    main()
