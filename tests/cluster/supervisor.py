"""PID 1 of a cluster's namespaces: starts the components, watches them, ends them all.

`python -m tests.cluster.supervisor PLAN SOCKET` is run by `lifecycle` under unshare. PLAN
is the file that `plan_text` made; SOCKET is the descriptor of a listening socket of the
machine's loopback. When this process ends, however it ends, the kernel kills every other
process of the cluster and takes its mounts and its network away.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tests.cluster import probe
from tests.cluster.components import Component
from tests.cluster.errors import ClusterError
from tests.cluster.isolation import isolate
from tests.cluster.layout import API_PORT, NODE_ADDRESS, Layout
from tests.cluster.relay import relay
from tests.cluster.tools import Tools

LOG_LINES = 20


def plan_text(layout: Layout, tools: Tools, components: Sequence[Component]) -> str:
    """All that the supervisor has to know, as JSON."""
    document = {
        "name": layout.name,
        "root": str(layout.root),
        "own": str(tools.own),
        "cni": str(tools.cni),
        "components": [component.as_json() for component in components],
    }
    return json.dumps(document, indent=1) + "\n"


def tail(log: Path, lines: int = LOG_LINES) -> str:
    """The last lines of a log, or a word that says that there are none."""
    if not log.exists():
        return "(no log)"
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 64 * 1024))
        text = file.read().decode(errors="replace")
    return "\n".join(text.splitlines()[-lines:]) or "(its log is empty)"


@dataclass
class Running:
    """What the supervisor knows of one component; this is what the status file shows."""

    state: str = "waiting"
    pid: int | None = None
    seconds: float | None = None
    ended: str | None = None


@dataclass
class Supervisor:
    layout: Layout
    environment: Mapping[str, str]
    components: Sequence[Component]
    started: float = field(default_factory=time.monotonic)
    running: dict[str, Running] = field(default_factory=dict)
    ready: dict[str, asyncio.Event] = field(default_factory=dict)
    by_pid: dict[int, Component] = field(default_factory=dict)

    async def run(self, listening: socket.socket) -> None:
        """Start everything and stay until a signal says stop."""
        loop = asyncio.get_running_loop()
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        loop.add_signal_handler(signal.SIGCHLD, self._reap)
        for component in self.components:
            self.running[component.name] = Running()
            self.ready[component.name] = asyncio.Event()
        self._write_status()
        server = await relay(listening, NODE_ADDRESS, API_PORT)
        tasks = [asyncio.create_task(self._bring_up(c)) for c in self.components]
        await stop.wait()
        for task in tasks:
            task.cancel()
        server.close()

    async def _bring_up(self, component: Component) -> None:
        for name in component.after:
            await self.ready[name].wait()
        self._start(component)
        if component.once:
            return
        now = self.running[component.name]
        while component.ready and not await probe.answers(component.ready):
            await asyncio.sleep(0.1)
        if now.state == "starting":
            self._reached(component, "ready")

    def _start(self, component: Component) -> None:
        log = str(self.layout.logs / f"{component.name}.log")
        append = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        pid = os.posix_spawn(
            component.command[0],
            component.command,
            self.environment,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, log, append, 0o600),
                (os.POSIX_SPAWN_DUP2, 1, 2),
            ],
            setsid=True,
            setsigdef=[signal.SIGPIPE],
        )
        self.by_pid[pid] = component
        self.running[component.name] = Running("starting", pid)
        self._write_status()

    def _reached(self, component: Component, state: str) -> None:
        now = self.running[component.name]
        now.state, now.seconds = state, round(time.monotonic() - self.started, 1)
        self.ready[component.name].set()
        self._write_status()

    def _reap(self) -> None:
        """Take the exit status of every child that ended; orphans of the namespace are ours too."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if component := self.by_pid.pop(pid, None):
                self._ended(component, os.waitstatus_to_exitcode(status))

    def _ended(self, component: Component, code: int) -> None:
        now = self.running[component.name]
        now.pid = None
        if component.once and code == 0:
            self._reached(component, "done")
            return
        how = f"exit code {code}" if code >= 0 else f"signal {signal.Signals(-code).name}"
        now.state, now.ended = "ended", how
        print(f"{component.name} ended with {how}", flush=True)
        self._write_status()

    def _write_status(self) -> None:
        document = {name: asdict(now) for name, now in self.running.items()}
        scratch = self.layout.status.with_suffix(".new")
        scratch.write_text(json.dumps(document, indent=1) + "\n")
        scratch.replace(self.layout.status)


def read_status(layout: Layout) -> dict[str, Running]:
    """The status file, or nothing where the supervisor has not written it yet."""
    if not layout.status.exists():
        return {}
    document: dict[str, dict[str, Any]] = json.loads(layout.status.read_text())
    return {name: Running(**fields) for name, fields in document.items()}


def main(plan_file: str, descriptor: str) -> int:
    os.chdir("/")
    plan = json.loads(Path(plan_file).read_text())
    layout = Layout(plan["name"], Path(plan["root"]))
    tools = Tools(Path(plan["own"]), Path(plan["cni"]))
    # Held until this process is gone, and never closed: `lifecycle.supervisor_pid` asks for it.
    lock = os.open(layout.lock, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    try:
        isolate(layout, tools)
    except ClusterError as error:
        print(error, flush=True)
        return 1
    supervisor = Supervisor(
        layout=layout,
        environment={**tools.environment(), "KUBECACHEDIR": f"{layout.data}/kubectl"},
        components=[Component.from_json(component) for component in plan["components"]],
    )
    asyncio.run(supervisor.run(socket.socket(fileno=int(descriptor))))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
