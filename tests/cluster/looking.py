"""What tests look at while they wait."""

from __future__ import annotations

from typing import Any

from tests.cluster.client import Cluster
from tests.cluster.waiting import wait_for


def phase(cluster: Cluster, pod: str, namespace: str) -> str:
    found = cluster.get("pod", pod, namespace)
    return found["status"].get("phase", "Unknown") if found else "absent"


def wait_for_phase(cluster: Cluster, pod: str, namespace: str, wanted: str) -> None:
    """Wait until a pod is in a phase; a failure tells its events and log."""
    try:
        wait_for(
            f"pod {pod} to be {wanted}",
            lambda: phase(cluster, pod, namespace),
            until=lambda seen: seen == wanted,
        )
    except AssertionError as error:
        described = cluster.try_kubectl("describe", "pod", pod, f"--namespace={namespace}").stdout
        log = cluster.try_kubectl("logs", pod, f"--namespace={namespace}").stdout
        raise AssertionError(f"{error}\n{described}\nlog:\n{log}") from error


def output_of(cluster: Cluster, pod: str, namespace: str) -> str:
    """The log of a pod that ran to its end without fault."""
    wait_for_phase(cluster, pod, namespace, "Succeeded")
    return cluster.kubectl("logs", pod, f"--namespace={namespace}")


def conditions(manifest: dict[str, Any] | None) -> dict[str, dict[str, Any]]:
    """The conditions of an object's status by their type."""
    found = (manifest or {}).get("status", {}).get("conditions", [])
    return {condition["type"]: condition for condition in found}
