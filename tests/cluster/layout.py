"""Where a cluster keeps its files, and the addresses that it uses in its own network."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.errors import ClusterError

# 198.18.0.0/15 belongs to nobody (RFC 2544), so no host that a pod may want hides behind it.
NODE_ADDRESS = "198.18.0.2"
POD_RANGE = "198.18.128.0/24"
SERVICE_RANGE = "198.19.0.0/16"
API_SERVICE_ADDRESS = "198.19.0.1"
DNS_SERVICE_ADDRESS = "198.19.0.10"
DOMAIN = "cluster.local"
API_PORT = 6443

REPOSITORY = Path(__file__).resolve().parents[2]


def cache_root() -> Path:
    """The folder for all that outlives a checkout: built tools, running clusters."""
    chosen = os.environ.get("SPLAT_CACHE")
    return Path(chosen).resolve() if chosen else Path.home() / ".cache" / "splat-operator"


@dataclass(frozen=True)
class Layout:
    """The names and paths of one cluster. All of its files are under `root`."""

    name: str
    root: Path

    @classmethod
    def of(cls, name: str) -> Layout:
        if not re.fullmatch(r"[a-z]([a-z0-9-]{0,18}[a-z0-9])?", name):
            raise ClusterError(
                f"cluster name {name!r}: use a letter, then at most 19 of a-z, 0-9 and '-'"
            )
        return cls(name, cache_root() / "clusters" / name)

    @property
    def context(self) -> str:
        return f"splat-{self.name}"

    @property
    def node(self) -> str:
        return f"{self.name}-node"

    @property
    def cgroup(self) -> str:
        """The cgroup above all pods of this cluster, in every hierarchy of the machine."""
        return f"splat-{self.name}"

    @property
    def certificates(self) -> Path:
        return self.root / "certificates"

    @property
    def configuration(self) -> Path:
        return self.root / "configuration"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def data(self) -> Path:
        """Folders that the components write: etcd, containerd, kubelet, volumes."""
        return self.root / "data"

    @property
    def volumes(self) -> Path:
        return self.data / "volumes"

    @property
    def gpu_health(self) -> Path:
        """A file in here named as a GPU makes that GPU unhealthy."""
        return self.root / "gpu-health"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig, for use on this machine."""
        return self.root / "kubeconfig"

    @property
    def status(self) -> Path:
        """What the supervisor last knew of each component, as JSON."""
        return self.root / "status.json"

    @property
    def lock(self) -> Path:
        """Locked by the supervisor for as long as it lives."""
        return self.root / "supervisor.lock"

    @property
    def turn(self) -> Path:
        """Locked by the one `up` or `down` whose turn it is."""
        return self.root.with_name(f"{self.name}.lock")

    @property
    def users(self) -> Path:
        """Locked, shared, by every run of tests that uses this cluster."""
        return self.root.with_name(f"{self.name}.users")

    @property
    def supervisor(self) -> Path:
        """Which processes the supervisor and its parent are, or were: see `processes.Process`."""
        return self.root / "supervisor"

    @property
    def plan(self) -> Path:
        """What the supervisor is to start, as JSON."""
        return self.root / "plan.json"

    def kubeconfig_of(self, component: str) -> Path:
        return self.configuration / f"{component}.kubeconfig"

    def client_environment(self) -> dict[str, str]:
        """The environment in which kubectl and helm speak to this cluster and no other."""
        kept = {k: v for k, v in os.environ.items() if k not in ("KUBECONFIG", "HELM_NAMESPACE")}
        # The discovery cache goes by address, and another cluster may get this port later.
        cache = {"KUBECACHEDIR": f"{self.data}/kubectl", "NO_PROXY": "127.0.0.1"}
        return {**kept, **cache, "KUBECONFIG": str(self.kubeconfig)}

    # Seen only within the cluster's mount namespace, where /run is its own.
    @property
    def containerd_socket(self) -> str:
        return "/run/containerd/containerd.sock"
