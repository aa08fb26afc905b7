"""What a cluster has on the machine, and what of it is still there after its end."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.cluster import cgroups
from tests.cluster.errors import ClusterError
from tests.cluster.layout import Layout
from tests.cluster.processes import Process, supervisor_pid

NAMESPACES = ("pid", "mnt", "net")


@dataclass(frozen=True)
class Belongings:
    """The processes of a running cluster, and the machine's network as it was before."""

    layout: Layout
    processes: frozenset[Process]
    network: str


def network() -> str:
    """The machine's interfaces, routes and packet filter."""
    commands = ("ip link", "ip address", "ip route", "iptables-save", "ip6tables-save")
    shown = [
        subprocess.run(command.split(), capture_output=True, text=True, check=True).stdout
        for command in commands
    ]
    # Comments hold the time, and lifetimes of addresses run down.
    lines = "".join(shown).splitlines()
    return "\n".join(line for line in lines if not line.startswith("#") and "valid_lft" not in line)


def belongings(layout: Layout, network_before: str) -> Belongings:
    """What the cluster has now: every process of its PID, mount or network namespace."""
    pid = supervisor_pid(layout)
    if pid is None:
        raise ClusterError(f"cluster {layout.name!r} is not up")
    namespaces = {kind: _namespace(Path("/proc", str(pid)), kind) for kind in NAMESPACES}
    found = {
        process
        for folder in Path("/proc").glob("[0-9]*")
        if any(_namespace(folder, kind) == link for kind, link in namespaces.items())
        if (process := Process.of(int(folder.name)))
    }
    return Belongings(layout, frozenset(found), network_before)


def _namespace(process: Path, kind: str) -> str:
    try:
        return str((process / "ns" / kind).readlink())
    except OSError:
        return "none"  # It ended while it was looked at.


def left_of(had: Belongings) -> list[str]:
    """Everything of the cluster that is still there, in words."""
    root = had.layout.root
    mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    outside = [
        path
        for path in Path("/proc").glob("[0-9]*/cmdline")
        if str(root).encode() in _content(path) and path.parent.name != str(os.getpid())
    ]
    left = [f"process: {process}" for process in had.processes if process.lives()]
    left += [f"process: {_content(path)!r}" for path in outside]
    left += [f"mount: {line}" for line in mounts if str(root) in line]
    left += [f"cgroup: {path}" for path in cgroups.remaining(had.layout.cgroup)]
    left += [f"folder: {root}"] if root.exists() else []
    now = network()
    left += [f"network: was\n{had.network}\nis\n{now}"] if now != had.network else []
    return left


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
