"""What whoever runs a cluster sets up in Kueue: a quota, where it lies, and who comes first."""

from __future__ import annotations

from tests.e2e.trainings import Raw

QUEUE = "maps"
ONE_TRAINING: Raw = {"gpus": 0, "cpu": "500m", "memory": "1Gi"}
"""`resources` of a training that takes the whole quota."""
NODES = {"kubernetes.io/os": "linux"}
"""Labels of the flavour's nodes."""

_API = "kueue.x-k8s.io/v1beta2"
_QUOTA = {"cpu": "500m", "memory": "8Gi", "nvidia.com/gpu": "2"}
_PRIORITIES = {"low": 10, "high": 1000}


def flavor() -> Raw:
    """The nodes that the quota is of."""
    metadata = {"name": "cpus"}
    spec = {"nodeLabels": NODES}
    return {"apiVersion": _API, "kind": "ResourceFlavor", "metadata": metadata, "spec": spec}


def cluster_queue() -> Raw:
    """A quota for one training at a time, which a higher priority takes from a lower one."""
    quotas = [{"name": name, "nominalQuota": amount} for name, amount in _QUOTA.items()]
    return {
        "apiVersion": _API,
        "kind": "ClusterQueue",
        "metadata": {"name": "all"},
        "spec": {
            "namespaceSelector": {},
            "preemption": {"withinClusterQueue": "LowerPriority"},
            "resourceGroups": [
                {
                    "coveredResources": list(_QUOTA),
                    "flavors": [{"name": "cpus", "resources": quotas}],
                }
            ],
        },
    }


def local_queue() -> Raw:
    """The queue that trainings of a namespace name."""
    metadata = {"name": QUEUE}
    spec = {"clusterQueue": "all"}
    return {"apiVersion": _API, "kind": "LocalQueue", "metadata": metadata, "spec": spec}


def priority_class(name: str) -> Raw:
    """A PriorityClass, from which Kueue takes a workload's priority."""
    return {
        "apiVersion": "scheduling.k8s.io/v1",
        "kind": "PriorityClass",
        "metadata": {"name": name},
        "value": _PRIORITIES[name],
        "preemptionPolicy": "Never",
    }
