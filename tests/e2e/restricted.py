"""Namespaces that admit restricted pods only (Pod Security Standards), and pods that are so."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.cluster.client import Cluster

RESTRICTED = {
    "pod-security.kubernetes.io/enforce": "restricted",
    "pod-security.kubernetes.io/enforce-version": "latest",
}
"""Labels of a namespace that admits restricted pods only (Pod Security Standards)."""


@contextmanager
def restricted_namespace(cluster: Cluster, prefix: str) -> Iterator[str]:
    """Make such a namespace; it goes with all that is in it."""
    name = f"{prefix}-{uuid.uuid4().hex[:8]}"
    metadata = {"name": name, "labels": RESTRICTED}
    document = {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}
    cluster.kubectl("create", "--filename=-", stdin=json.dumps(document))
    try:
        yield name
    finally:
        cluster.kubectl("delete", "namespace", name, "--timeout=120s")


def restricted_pod(name: str, image: str, command: list[str]) -> dict[str, Any]:
    """A pod that such a namespace admits, and that cannot write to its image's files."""
    container = {
        "name": "main",
        "image": image,
        "imagePullPolicy": "Never",
        "command": command,
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [container],
        },
    }
