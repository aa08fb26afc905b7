"""The configuration files of the components, as text: JSON where Kubernetes reads YAML."""

from __future__ import annotations

import json
from collections.abc import Mapping

from tests.cluster.layout import (
    DNS_SERVICE_ADDRESS,
    DOMAIN,
    NODE_ADDRESS,
    POD_RANGE,
    Layout,
)
from tests.cluster.tools import PAUSE_IMAGE, Tools


def files(layout: Layout, tools: Tools, snapshotter: str) -> Mapping[str, str]:
    """All configuration files by name within `layout.configuration`."""
    return {
        "containerd.toml": containerd(layout, tools, snapshotter),
        "cni/10-pods.conflist": _json(pod_network(layout)),
        "kubelet.json": _json(kubelet(layout)),
        "kube-proxy.json": _json(kube_proxy(layout)),
        "Corefile": corefile(layout),
        "resolv.conf": f"nameserver {DNS_SERVICE_ADDRESS}\n",
    }


def containerd(layout: Layout, tools: Tools, snapshotter: str) -> str:
    """The runtime. Paths are its own where two clusters on a machine would share one.

    `restrict_oom_score_adj`: a root without CAP_SYS_RESOURCE may not lower a score, and runc
    would fail every sandbox.
    """
    return f"""version = 2
root = "{layout.data}/containerd"
state = "/run/containerd"
disabled_plugins = [
  "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs",
  "io.containerd.tracing.processor.v1.otlp", "io.containerd.internal.v1.tracing",
]

[grpc]
address = "{layout.containerd_socket}"

[plugins."io.containerd.internal.v1.opt"]
path = "{layout.data}/containerd-opt"

[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{PAUSE_IMAGE}"
restrict_oom_score_adj = true
stream_server_address = "127.0.0.1"

[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "{tools.cni}"
conf_dir = "{layout.configuration}/cni"

[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "{snapshotter}"
default_runtime_name = "runc"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
BinaryName = "{tools.program("runc")}"
SystemdCgroup = false
"""


def pod_network(layout: Layout) -> object:
    return {
        "cniVersion": "0.4.0",
        "name": "pods",
        "plugins": [
            {
                "type": "bridge",
                "bridge": "cni0",
                "isGateway": True,
                "hairpinMode": True,
                "ipam": {
                    "type": "host-local",
                    "dataDir": f"{layout.data}/cni",
                    "ranges": [[{"subnet": POD_RANGE}]],
                    "routes": [{"dst": "0.0.0.0/0"}],
                },
            },
            {"type": "portmap", "capabilities": {"portMappings": True}},
        ],
    }


def kubelet(layout: Layout) -> object:
    certificates = layout.certificates
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": NODE_ADDRESS,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": f"{certificates}/ca.crt"},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": f"{certificates}/kubelet.crt",
        "tlsPrivateKeyFile": f"{certificates}/kubelet.key",
        "containerRuntimeEndpoint": f"unix://{layout.containerd_socket}",
        # The same driver serves cgroup v1 and v2; a root of its own keeps the kubelet of
        # another cluster on the machine from tidying our pods away.
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{layout.cgroup}",
        "failCgroupV1": False,
        "failSwapOn": False,
        "oomScoreAdj": 0,
        "clusterDNS": [DNS_SERVICE_ADDRESS],
        "clusterDomain": DOMAIN,
        "resolvConf": f"{layout.configuration}/resolv.conf",
        # How soon the node shows GPUs that came or fell ill; written only when it changes.
        "nodeStatusUpdateFrequency": "2s",
        "podLogsDir": f"{layout.data}/pod-logs",
        "evictionHard": {
            "memory.available": "64Mi",
            "nodefs.available": "1%",
            "nodefs.inodesFree": "1%",
            "imagefs.available": "1%",
        },
        # There is no registry to fetch a collected image from.
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
    }


def kube_proxy(layout: Layout) -> object:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "iptables",
        "clientConnection": {"kubeconfig": str(layout.kubeconfig_of("kube-proxy"))},
        "hostnameOverride": layout.node,
        "clusterCIDR": POD_RANGE,
        "healthzBindAddress": "127.0.0.1:10256",
        "metricsBindAddress": "127.0.0.1:10249",
        "oomScoreAdj": 0,
        # The size of the machine's connection table is not ours to change.
        "conntrack": {"maxPerCore": 0, "min": 0},
    }


def corefile(layout: Layout) -> str:
    """DNS for the cluster's own names; any other name does not exist."""
    return f""".:53 {{
    bind {NODE_ADDRESS}
    errors
    health 127.0.0.1:8080
    ready 127.0.0.1:8181
    cache 5
    kubernetes {DOMAIN} in-addr.arpa {{
        kubeconfig {layout.kubeconfig_of("coredns")}
        pods insecure
        ttl 5
    }}
    template ANY ANY . {{
        rcode NXDOMAIN
    }}
}}
"""


def _json(document: object) -> str:
    return json.dumps(document, indent=1) + "\n"
