"""One cgroup above all pods of a cluster, on cgroup v1, v2 and both at once.

The namespaces take everything else of a cluster away when it ends; cgroups stay, and are
removed here.
"""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

from tests.cluster.errors import ClusterError


def hierarchies(mountinfo: str) -> list[tuple[Path, str]]:
    """The mounted cgroup hierarchies of a /proc/PID/mountinfo: (folder, `cgroup` or `cgroup2`)."""
    found: dict[Path, str] = {}
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        kind = after.split(" ", 1)[0]
        if kind in ("cgroup", "cgroup2"):
            found[Path(before.split(" ")[4])] = kind
    return sorted(found.items())


def _mounted() -> list[tuple[Path, str]]:
    return hierarchies(Path("/proc/self/mountinfo").read_text())


def create(name: str) -> None:
    """Make the cgroup in each hierarchy, with every controller that the machine allows."""
    mounted = _mounted()
    if not mounted:
        raise ClusterError("no cgroup hierarchy is mounted on this machine (see /sys/fs/cgroup)")
    unified = all(kind == "cgroup2" for _, kind in mounted)
    for root, kind in mounted:
        if kind == "cgroup2" and unified:
            _enable_controllers(root)
        folder = root / name
        folder.mkdir(exist_ok=True)
        # On v1 a new cpuset is empty, and takes no process until it is given what its parent has.
        for setting in ("cpuset.cpus", "cpuset.mems"):
            if kind == "cgroup" and (folder / setting).exists():
                (folder / setting).write_text((root / setting).read_text())


def _enable_controllers(root: Path) -> None:
    for controller in (root / "cgroup.controllers").read_text().split():
        # One that cannot be enabled here is one that the kubelet will do without or name.
        with contextlib.suppress(OSError):
            (root / "cgroup.subtree_control").write_text(f"+{controller}")


def remaining(name: str) -> list[Path]:
    """The cgroups of that name that are still there."""
    return [root / name for root, _ in _mounted() if (root / name).exists()]


def remove(name: str, timeout: float = 20) -> None:
    """Remove the cgroup and all within it. Its processes must have been killed already."""
    deadline = time.monotonic() + timeout
    while left := remaining(name):
        for top in left:
            for folder in sorted((p for p in top.rglob("*") if p.is_dir()), reverse=True):
                _rmdir(folder)
            _rmdir(top)
        if remaining(name) and time.monotonic() > deadline:
            raise ClusterError(f"cannot remove the cgroup {left[0]}: processes are left in it")
        time.sleep(0.02)


def _rmdir(folder: Path) -> None:
    # Busy while the kernel still takes the last process away: tried again.
    with contextlib.suppress(OSError):
        folder.rmdir()
