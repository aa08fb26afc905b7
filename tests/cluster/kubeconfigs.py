"""Kubeconfigs as JSON, which is YAML, with everything they need inside."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path

from tests.cluster.layout import API_PORT, NODE_ADDRESS, Layout

COMPONENTS = (
    "kubelet",
    "kube-controller-manager",
    "kube-scheduler",
    "kube-proxy",
    "coredns",
    "storage-provisioner",
    "admin",
)


def kubeconfig(certificates: Path, user: str, server: str, context: str) -> str:
    """The kubeconfig of `user`, whose certificate and key are `USER.crt` and `USER.key`."""

    def inline(name: str) -> str:
        return base64.b64encode((certificates / name).read_bytes()).decode()

    cluster = {"server": server, "certificate-authority-data": inline("ca.crt")}
    credentials = {
        "client-certificate-data": inline(f"{user}.crt"),
        "client-key-data": inline(f"{user}.key"),
    }
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": context, "cluster": cluster}],
        "users": [{"name": f"{context}-{user}", "user": credentials}],
        "contexts": [
            {"name": context, "context": {"cluster": context, "user": f"{context}-{user}"}}
        ],
        "current-context": context,
    }
    return json.dumps(document, indent=1) + "\n"


def write(layout: Layout, port: int) -> None:
    """Write the kubeconfig of each component, and the administrator's for this machine.

    `port` is the API server's on the machine's loopback.
    """
    inside = f"https://{NODE_ADDRESS}:{API_PORT}"
    outside = f"https://127.0.0.1:{port}"
    for component in COMPONENTS:
        text = kubeconfig(layout.certificates, component, inside, layout.context)
        write_secret(layout.kubeconfig_of(component), text)
    text = kubeconfig(layout.certificates, "admin", outside, layout.context)
    write_secret(layout.kubeconfig, text)


def write_secret(path: Path, text: str) -> None:
    """Write a file that at no moment can be read by anyone else."""
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
