"""What the cluster's own mount and network namespaces need before a component can start.

Called by the supervisor within the namespaces; nothing here can be seen from outside.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.cluster.errors import ClusterError
from tests.cluster.layout import NODE_ADDRESS, SERVICE_RANGE, Layout
from tests.cluster.tools import Tools

# Hidden behind empty folders of the cluster's own: sockets, network namespaces, log links.
PRIVATE = (Path("/run"), Path("/var/log"))

# What the kubelet would set for the whole machine (setupKernelTunables of its container
# manager). It leaves a value alone that is right already, so it is shown the right ones.
KERNEL_SETTINGS = {
    "vm/overcommit_memory": "1",
    "vm/panic_on_oom": "0",
    "kernel/panic": "10",
    "kernel/panic_on_oops": "1",
    "kernel/keys/root_maxkeys": "1000000",
    "kernel/keys/root_maxbytes": "25000000",
}


def isolate(layout: Layout, tools: Tools) -> None:
    """Set up mounts and the network of the namespaces that this process is in."""
    for hidden in PRIVATE:
        if layout.root.is_relative_to(hidden):
            raise ClusterError(
                f"set SPLAT_CACHE to a folder outside {hidden}: the cluster hides it"
            )
    _mounts(layout)
    _kernel_settings()
    _network(tools)


def _mounts(layout: Layout) -> None:
    # Shared among the cluster's own mount namespaces, as on a real node; not with the machine.
    _run("mount", "--make-rshared", "/")
    for folder in PRIVATE:
        _run("mount", "-t", "tmpfs", "-o", "mode=755", "splat", str(folder))
    Path("/run/lock").mkdir()
    # Device plugins find the kubelet at this path, whatever its --root-dir says.
    kubelet = Path("/var/lib/kubelet")
    kubelet.mkdir(parents=True, exist_ok=True)
    own = layout.data / "kubelet"
    own.mkdir(parents=True, exist_ok=True)
    _run("mount", "--bind", str(own), str(kubelet))
    _run("mount", "--make-shared", str(kubelet))


def _kernel_settings() -> None:
    folder = Path("/run/kernel-settings")
    folder.mkdir()
    for name, value in KERNEL_SETTINGS.items():
        setting = Path("/proc/sys") / name
        if setting.exists() and setting.read_text().strip() != value:
            shown = folder / name.replace("/", ".")
            shown.write_text(f"{value}\n")
            _run("mount", "--bind", str(shown), str(setting))


def _network(tools: Tools) -> None:
    ip = tools.program("ip")
    _run(ip, "link", "set", "lo", "up")
    _run(ip, "address", "add", f"{NODE_ADDRESS}/32", "dev", "lo")
    # Without a route a packet from the node to a Service is refused before it is translated.
    _run(ip, "route", "add", SERVICE_RANGE, "dev", "lo", "src", NODE_ADDRESS)
    network = Path("/proc/sys/net")
    (network / "ipv4/ip_forward").write_text("1")
    # Lets a pod reach a Service whose pod is on the same bridge.
    bridged = network / "bridge/bridge-nf-call-iptables"
    if bridged.exists():
        bridged.write_text("1")


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ClusterError(f"`{' '.join(command)}` failed: {done.stderr.strip()}")
