"""What the cluster consists of: each component's command, what it waits for, when it is ready."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from tests.cluster.layout import API_PORT, NODE_ADDRESS, SERVICE_RANGE, Layout
from tests.cluster.tools import Tools


@dataclass(frozen=True)
class Component:
    """A process of the cluster.

    It starts when all of `after` are ready. It is ready when `ready` answers: a URL with a
    2xx status, a `tcp://address:port` or a `unix://path` that accepts, or, with no `ready`,
    when it runs. A `once` component is ready when it has ended with 0.
    """

    name: str
    command: tuple[str, ...]
    after: tuple[str, ...] = ()
    ready: str = ""
    once: bool = False

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Component:
        return cls(
            name=document["name"],
            command=tuple(document["command"]),
            after=tuple(document["after"]),
            ready=document["ready"],
            once=document["once"],
        )


def components(layout: Layout, tools: Tools, gpus: int) -> list[Component]:
    """All components of a one-node cluster, in the order in which they can start."""
    bin_ = tools.program
    configuration = layout.configuration
    kubeconfig = layout.kubeconfig_of
    apply = ("apply", "--server-side", "--force-conflicts")
    api = ("kube-apiserver",)
    return [
        Component("etcd", (bin_("etcd"), *_etcd(layout)), ready="http://127.0.0.1:2381/readyz"),
        Component(
            "containerd",
            (bin_("containerd"), f"--config={configuration}/containerd.toml"),
            ready=f"unix://{layout.containerd_socket}",
        ),
        Component(
            "pause-image",
            (
                *(bin_("ctr"), f"--address={layout.containerd_socket}", "--namespace=k8s.io"),
                *("images", "import", str(tools.pause_image)),
            ),
            after=("containerd",),
            once=True,
        ),
        Component(
            "kube-apiserver",
            (bin_("kube-apiserver"), *_api_server(layout)),
            after=("etcd",),
            ready=f"https://{NODE_ADDRESS}:{API_PORT}/readyz",
        ),
        Component(
            "kube-controller-manager",
            (bin_("kube-controller-manager"), *_controller_manager(layout)),
            after=api,
            ready="https://127.0.0.1:10257/healthz",
        ),
        Component(
            "kube-scheduler",
            (
                bin_("kube-scheduler"),
                f"--kubeconfig={kubeconfig('kube-scheduler')}",
                f"--authentication-kubeconfig={kubeconfig('kube-scheduler')}",
                f"--authorization-kubeconfig={kubeconfig('kube-scheduler')}",
                "--bind-address=127.0.0.1",
                "--leader-elect=false",
            ),
            after=api,
            ready="https://127.0.0.1:10259/healthz",
        ),
        Component(
            "kubelet",
            (
                bin_("kubelet"),
                f"--config={configuration}/kubelet.json",
                f"--kubeconfig={kubeconfig('kubelet')}",
                f"--hostname-override={layout.node}",
                f"--node-ip={NODE_ADDRESS}",
            ),
            after=("kube-apiserver", "pause-image"),
            ready="http://127.0.0.1:10248/healthz",
        ),
        Component(
            "addons",
            (
                *(bin_("kubectl"), f"--kubeconfig={kubeconfig('admin')}", *apply),
                f"--filename={configuration}/addons.json",
            ),
            after=api,
            once=True,
        ),
        Component(
            "kube-proxy",
            (bin_("kube-proxy"), f"--config={configuration}/kube-proxy.json"),
            after=api,
            ready="http://127.0.0.1:10256/healthz",
        ),
        Component(
            "coredns",
            (bin_("coredns"), "-conf", f"{configuration}/Corefile"),
            after=("addons",),
            ready="http://127.0.0.1:8181/ready",
        ),
        Component(
            "storage-provisioner",
            (
                bin_("storage-provisioner"),
                f"--kubeconfig={kubeconfig('storage-provisioner')}",
                f"--root={layout.volumes}",
            ),
            after=("addons",),
        ),
        Component(
            "device-plugin",
            (
                bin_("device-plugin"),
                "--resource=nvidia.com/gpu",
                f"--fake={gpus}",
                f"--health-dir={layout.gpu_health}",
            ),
            after=("kubelet",),
        ),
    ]


def _etcd(layout: Layout) -> tuple[str, ...]:
    certificates = layout.certificates
    return (
        f"--data-dir={layout.data}/etcd",
        "--name=node",
        "--unsafe-no-fsync",
        "--listen-client-urls=https://127.0.0.1:2379",
        "--advertise-client-urls=https://127.0.0.1:2379",
        "--listen-peer-urls=http://127.0.0.1:2380",
        "--initial-advertise-peer-urls=http://127.0.0.1:2380",
        "--initial-cluster=node=http://127.0.0.1:2380",
        "--listen-metrics-urls=http://127.0.0.1:2381",
        "--client-cert-auth",
        f"--trusted-ca-file={certificates}/etcd-ca.crt",
        f"--cert-file={certificates}/etcd.crt",
        f"--key-file={certificates}/etcd.key",
    )


def _api_server(layout: Layout) -> tuple[str, ...]:
    certificates = layout.certificates
    return (
        f"--bind-address={NODE_ADDRESS}",
        f"--advertise-address={NODE_ADDRESS}",
        f"--secure-port={API_PORT}",
        f"--tls-cert-file={certificates}/apiserver.crt",
        f"--tls-private-key-file={certificates}/apiserver.key",
        f"--client-ca-file={certificates}/ca.crt",
        "--etcd-servers=https://127.0.0.1:2379",
        f"--etcd-cafile={certificates}/etcd-ca.crt",
        f"--etcd-certfile={certificates}/apiserver-etcd.crt",
        f"--etcd-keyfile={certificates}/apiserver-etcd.key",
        f"--kubelet-certificate-authority={certificates}/ca.crt",
        f"--kubelet-client-certificate={certificates}/apiserver-kubelet.crt",
        f"--kubelet-client-key={certificates}/apiserver-kubelet.key",
        "--kubelet-preferred-address-types=InternalIP",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        f"--service-account-key-file={certificates}/sa.pub",
        f"--service-account-signing-key-file={certificates}/sa.key",
        f"--service-cluster-ip-range={SERVICE_RANGE}",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged=true",
        "--profiling=false",
        f"--requestheader-client-ca-file={certificates}/front-proxy-ca.crt",
        "--requestheader-allowed-names=front-proxy",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-username-headers=X-Remote-User",
        f"--proxy-client-cert-file={certificates}/front-proxy.crt",
        f"--proxy-client-key-file={certificates}/front-proxy.key",
    )


def _controller_manager(layout: Layout) -> tuple[str, ...]:
    kubeconfig = layout.kubeconfig_of("kube-controller-manager")
    certificates = layout.certificates
    return (
        f"--kubeconfig={kubeconfig}",
        f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}",
        "--bind-address=127.0.0.1",
        "--leader-elect=false",
        "--use-service-account-credentials=true",
        f"--root-ca-file={certificates}/ca.crt",
        f"--service-account-private-key-file={certificates}/sa.key",
        f"--cluster-signing-cert-file={certificates}/ca.crt",
        f"--cluster-signing-key-file={certificates}/ca.key",
        f"--service-cluster-ip-range={SERVICE_RANGE}",
        "--profiling=false",
        # How soon a Ready node loses the taint that it started with.
        "--node-monitor-period=1s",
    )
