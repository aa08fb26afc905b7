"""The operator's own pods: which of them leads, and their violent death."""

from __future__ import annotations

from tests.e2e.installation import RELEASE, Operator


def replicas(operator: Operator) -> list[str]:
    """The names of the operator's pods that are not on their way out."""
    selector = "app.kubernetes.io/name=splat-operator"
    found = operator.cluster.list("pods", operator.namespace, selector)
    return [pod["metadata"]["name"] for pod in found if "deletionTimestamp" not in pod["metadata"]]


def leader(operator: Operator) -> str:
    """The name of the pod that holds the Lease; empty while none does."""
    lease = operator.cluster.get("lease", RELEASE, operator.namespace)
    holder = (lease or {}).get("spec", {}).get("holderIdentity") or ""
    return str(holder).partition("_")[0]


def kill(operator: Operator, pod: str) -> None:
    """Let a pod die at once and without a word, as if its node had."""
    operator.cluster.kubectl(
        *("delete", "pod", pod, f"--namespace={operator.namespace}"),
        *("--grace-period=0", "--force"),
    )


def wait_until_ready(operator: Operator) -> None:
    """Wait until all replicas are ready."""
    operator.cluster.kubectl(
        *("rollout", "status", f"deployment/{RELEASE}", f"--namespace={operator.namespace}"),
        "--timeout=90s",
    )
