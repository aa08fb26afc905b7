"""The programs that a cluster is made of, and where they are on this machine."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.errors import ClusterError
from tests.cluster.layout import Layout
from tests.cluster.packages import SEARCH

# The one binary goes by each of these names; go/kube/main.go looks at argv[0].
KUBE_NAMES = (
    "coredns",
    "device-plugin",
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-proxy",
    "kube-scheduler",
    "kubectl",
    "kubelet",
    "storage-provisioner",
)
CNI_PLUGINS = ("bridge", "host-local", "loopback", "portmap")
PAUSE_IMAGE = "splat.test/pause:1"


@dataclass(frozen=True)
class Tools:
    """Folders to search for programs, the CNI plugins, and the image that holds pods open."""

    own: Path
    cni: Path

    @property
    def pause_image(self) -> Path:
        return self.own / "pause.tar"

    @property
    def search(self) -> str:
        """A PATH: the tools' own programs before the machine's."""
        return f"{self.own / 'bin'}:{SEARCH}"

    def program(self, name: str) -> str:
        """The path of a program, or a ClusterError that says that it is missing."""
        found = shutil.which(name, path=self.search)
        if found is None:
            raise ClusterError(f"no program {name!r} in {self.search}")
        return found

    def must_start(self, name: str) -> None:
        """ClusterError, with the loader's words, where a program does not even tell its version."""
        command = [self.program(name), "--version"]
        tried = subprocess.run(command, capture_output=True, text=True, check=False)
        if tried.returncode:
            raise ClusterError(f"{command[0]} does not start here: {tried.stderr.strip()}")

    def environment(self) -> dict[str, str]:
        """The environment of the tools' programs: this one with their PATH, no proxies."""
        kept = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}
        return {**kept, "PATH": self.search}


def on_this_machine(built: Path) -> Tools:
    """Debian's own containerd, runc, CNI plugins and iptables beside what was built here."""
    return Tools(own=built, cni=Path("/usr/lib/cni"))


def unpacked(folder: Path) -> Tools:
    """Everything from a folder that `python -m tests.cluster pack` made."""
    folder = folder.resolve()
    lacking = [
        str(path)
        for path in (folder / "bin" / "kube", folder / "pause.tar", folder / "cni" / "bridge")
        if not path.exists()
    ]
    if lacking:
        raise ClusterError(
            f"{folder} is not an unpacked archive of `pack`: no {', '.join(lacking)}"
        )
    return Tools(own=folder, cni=folder / "cni")


def of_cluster(layout: Layout) -> Tools:
    """The tools that the running cluster was started with."""
    plan = json.loads(layout.plan.read_text())
    return Tools(own=Path(plan["own"]), cni=Path(plan["cni"]))
