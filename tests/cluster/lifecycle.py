"""Bring a cluster up, take it down, and say how it is."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from tests.cluster import addons, api, building, certificates, cgroups, kubeconfigs, packages
from tests.cluster import configuration as configuration_files
from tests.cluster import tools as tools_module
from tests.cluster.components import components
from tests.cluster.errors import ClusterError
from tests.cluster.layout import Layout
from tests.cluster.locks import locked
from tests.cluster.processes import (
    end_supervisor,
    listen_on_loopback,
    start_supervisor,
    supervisor_pid,
)
from tests.cluster.stages import say, stage
from tests.cluster.supervisor import Running, plan_text, read_status, tail
from tests.cluster.tools import Tools

READY_TIMEOUT = 240.0
GPUS = 2


def find_tools(folder: Path | None) -> Tools:
    """The tools of an unpacked archive, or those of this machine, installed and built as needed."""
    if folder is not None:
        tools = tools_module.unpacked(folder)
        for name in ("containerd", "runc"):
            tools.must_start(name)
        return tools
    packages.ensure(packages.CLUSTER)
    return tools_module.on_this_machine(building.built())


def up(name: str, gpus: int | None = None, tools_folder: Path | None = None) -> Layout:
    """Make the cluster run and return when pods can be scheduled on it.

    Harmless where it runs already. What an earlier one left is removed first. `gpus` are
    pretended where the machine has none.
    """
    layout = Layout.of(name)
    _root_only()
    started = time.monotonic()
    with locked(layout.turn):
        tools = find_tools(tools_folder)
        if supervisor_pid(layout) is None:
            with stage("certificates and configuration"):
                _clear(layout)
                listening = listen_on_loopback()
                _prepare(layout, tools, GPUS if gpus is None else gpus, listening.getsockname()[1])
            with stage("namespaces and supervisor"), listening:
                start_supervisor(layout, tools, listening)
        else:
            _same_gpus(layout, gpus)
            say(f"==> cluster {name!r} runs already")
        _wait_until_ready(layout, started)
    say(f"==> cluster {name!r} is ready after {time.monotonic() - started:.1f} s")
    say(f"    export KUBECONFIG={layout.kubeconfig}")
    return layout


def down(name: str) -> None:
    """End the cluster and remove all that it had. Harmless where there is none."""
    layout = Layout.of(name)
    _root_only()
    with locked(layout.turn, remove=True), stage(f"taking cluster {name!r} down"):
        _clear(layout)


def _clear(layout: Layout) -> None:
    end_supervisor(layout)
    cgroups.remove(layout.cgroup)
    # A process of a supervisor that was killed from outside may still write as it dies.
    for _ in range(50):
        shutil.rmtree(layout.root, ignore_errors=True)
        if not layout.root.exists():
            return
        time.sleep(0.1)
    shutil.rmtree(layout.root)


def _prepare(layout: Layout, tools: Tools, gpus: int, port: int) -> None:
    for folder in (layout.root, layout.configuration, layout.certificates, layout.data):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for folder in (layout.logs, layout.volumes, layout.gpu_health, layout.configuration / "cni"):
        folder.mkdir(exist_ok=True)
    certificates.create(layout)
    kubeconfigs.write(layout, port)
    snapshotter = _snapshotter(layout.data)
    for name, text in configuration_files.files(layout, tools, snapshotter).items():
        (layout.configuration / name).write_text(text)
    (layout.configuration / "addons.json").write_text(addons.manifest())
    (layout.root / "gpus").write_text(f"{gpus}\n")
    layout.plan.write_text(plan_text(layout, tools, components(layout, tools, gpus)))
    cgroups.create(layout.cgroup)


def _snapshotter(folder: Path) -> str:
    """`overlayfs` where this disk can hold one; `native`, which copies, where it cannot."""
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        for part in ("lower", "upper", "work", "merged"):
            (Path(scratch) / part).mkdir()
        options = f"lowerdir={scratch}/lower,upperdir={scratch}/upper,workdir={scratch}/work"
        mount = ["mount", "-t", "overlay", "overlay", "-o", options, f"{scratch}/merged"]
        tried = subprocess.run(
            ["unshare", "--mount", *mount], capture_output=True, check=False, cwd="/"
        )
    return "overlayfs" if tried.returncode == 0 else "native"


def _wait_until_ready(layout: Layout, started: float) -> None:
    """Say when each component is ready; fail with the log of one that ended."""
    deadline = time.monotonic() + READY_TIMEOUT
    told: set[str] = set()
    lacking = ["the supervisor's first word"]
    while time.monotonic() < deadline:
        if supervisor_pid(layout) is None:
            raise ClusterError(f"the supervisor ended:\n{tail(layout.logs / 'supervisor.log')}")
        known = read_status(layout)
        for name, now in known.items():
            if now.state in ("ready", "done") and name not in told:
                told.add(name)
                say(f"    {time.monotonic() - started:5.1f} s  {name} {now.state}")
        if ended := failure(layout, known):
            raise ClusterError(ended)
        if known and len(told) == len(known):
            lacking = node_lacks(layout)
            if not lacking:
                return
        elif known:
            lacking = [f"{name} ({now.state})" for name, now in known.items() if name not in told]
        time.sleep(0.1)
    raise ClusterError(f"not ready after {READY_TIMEOUT:.0f} s; still waiting for {lacking}")


def failure(layout: Layout, known: dict[str, Running]) -> str | None:
    """Which component ended that should not have, and the end of its log."""
    for name, now in known.items():
        if now.state == "ended":
            log = layout.logs / f"{name}.log"
            return f"{name} ended with {now.ended}; the end of {log}:\n{tail(log)}"
    return None


def node_lacks(layout: Layout) -> list[str]:
    """What a pod would still wait for, in words; nothing when pods can run."""
    lacking = []
    node = api.get(layout, f"/api/v1/nodes/{layout.node}")
    if node is None:
        return [f"node {layout.node}"]
    conditions = {c["type"]: c["status"] for c in node["status"].get("conditions", [])}
    if conditions.get("Ready") != "True" or node["spec"].get("taints"):
        lacking.append(f"node {layout.node} to be Ready")
    if _gpus(layout) and node["status"].get("allocatable", {}).get("nvidia.com/gpu", "0") == "0":
        lacking.append("nvidia.com/gpu of the node")
    if api.get(layout, "/api/v1/namespaces/default/serviceaccounts/default") is None:
        lacking.append("the service account default/default")
    return lacking


def _gpus(layout: Layout) -> int:
    return int((layout.root / "gpus").read_text())


def _same_gpus(layout: Layout, wanted: int | None) -> None:
    if wanted is not None and wanted != _gpus(layout):
        raise ClusterError(
            f"cluster {layout.name!r} runs with {_gpus(layout)} GPUs, not {wanted}: "
            f"take it down first (`down --name {layout.name}`), or leave --gpus out"
        )


def _root_only() -> None:
    if os.geteuid() != 0:
        raise ClusterError("a cluster needs root: it makes namespaces, mounts and cgroups")
