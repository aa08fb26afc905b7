"""The objects that every cluster starts with: storage, DNS, and the rights of both."""

from __future__ import annotations

import json
from typing import Any

from tests.cluster.layout import DNS_SERVICE_ADDRESS, NODE_ADDRESS

READ = ["get", "list", "watch"]


def manifest() -> str:
    """All of them as one `List`."""
    # The API server makes this namespace too, but may not have got to it yet.
    system = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "kube-system"}}
    rights = [*_rights("coredns", _DNS), *_rights("storage-provisioner", _STORAGE)]
    items = [system, storage_class(), *dns(), *rights]
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": items}, indent=1) + "\n"


def storage_class() -> dict[str, Any]:
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {
            "name": "node-folder",
            "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
        },
        "provisioner": "splatting.dev/node-folder",
        "reclaimPolicy": "Delete",
        "volumeBindingMode": "WaitForFirstConsumer",
    }


def dns() -> list[dict[str, Any]]:
    """CoreDNS is a process of the node: a Service without selector, its endpoint by hand."""
    ports: list[dict[str, Any]] = [
        {"name": "dns", "protocol": "UDP", "port": 53},
        {"name": "dns-tcp", "protocol": "TCP", "port": 53},
    ]
    namespace = {"namespace": "kube-system"}
    return [
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {**namespace, "name": "kube-dns", "labels": {"k8s-app": "kube-dns"}},
            "spec": {"clusterIP": DNS_SERVICE_ADDRESS, "ports": ports},
        },
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {
                **namespace,
                "name": "kube-dns-node",
                "labels": {"kubernetes.io/service-name": "kube-dns"},
            },
            "addressType": "IPv4",
            "endpoints": [{"addresses": [NODE_ADDRESS], "conditions": {"ready": True}}],
            "ports": ports,
        },
    ]


_DNS = [
    {"apiGroups": [""], "resources": ["namespaces", "pods", "services"], "verbs": READ},
    {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": READ},
]

_STORAGE = [
    {
        "apiGroups": [""],
        "resources": ["persistentvolumes"],
        "verbs": [*READ, "create", "delete", "patch", "update"],
    },
    {"apiGroups": [""], "resources": ["persistentvolumeclaims"], "verbs": [*READ, "update"]},
    {"apiGroups": [""], "resources": ["nodes"], "verbs": READ},
    {"apiGroups": ["storage.k8s.io"], "resources": ["storageclasses"], "verbs": READ},
    {
        "apiGroups": ["", "events.k8s.io"],
        "resources": ["events"],
        "verbs": ["create", "patch", "update"],
    },
]


def _rights(component: str, rules: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A ClusterRole with `rules`, bound to the user that the component's certificate names."""
    name = f"splat:{component}"
    group = "rbac.authorization.k8s.io"
    return [
        {
            "apiVersion": f"{group}/v1",
            "kind": "ClusterRole",
            "metadata": {"name": name},
            "rules": rules,
        },
        {
            "apiVersion": f"{group}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": name},
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": name},
            "subjects": [{"apiGroup": group, "kind": "User", "name": name}],
        },
    ]
