"""`nvidia.com/gpu` is scheduled and allocated by the cluster, and can fall ill."""

from __future__ import annotations

import pytest

from tests.cluster.client import Cluster
from tests.cluster.looking import conditions, output_of, phase
from tests.cluster.manifests import pod
from tests.cluster.waiting import wait_for

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("busybox_image")]

GPU = "nvidia.com/gpu"


@pytest.fixture
def allocatable(cluster: Cluster) -> int:
    """How many GPUs the nodes offer; the tests need one at least."""
    found = _allocatable(cluster)
    if found == 0:
        pytest.skip(f"no node of {cluster.name} offers {GPU}")
    return found


def _allocatable(cluster: Cluster) -> int:
    nodes = cluster.list("nodes", "default")
    return sum(int(node["status"]["allocatable"].get(GPU, "0")) for node in nodes)


@pytest.mark.usefixtures("allocatable")
def test_a_pod_that_asks_for_one_gpu_is_given_one(cluster: Cluster, namespace: str) -> None:
    script = "echo $NVIDIA_VISIBLE_DEVICES"
    cluster.apply(pod("modest", script, gpus=1), namespace=namespace)

    devices = output_of(cluster, "modest", namespace).strip()

    assert devices
    assert "," not in devices


def test_a_pod_that_asks_for_too_many_is_unschedulable(
    cluster: Cluster, namespace: str, allocatable: int
) -> None:
    cluster.apply(pod("greedy", "true", gpus=allocatable + 1), namespace=namespace)

    scheduled = wait_for(
        "the scheduler's verdict",
        lambda: conditions(cluster.get("pod", "greedy", namespace)).get("PodScheduled"),
    )

    assert (scheduled["status"], scheduled["reason"]) == ("False", "Unschedulable")
    assert f"Insufficient {GPU}" in scheduled["message"]
    assert phase(cluster, "greedy", namespace) == "Pending"


def test_a_gpu_that_falls_ill_is_offered_no_more_until_it_is_well(
    cluster: Cluster, allocatable: int
) -> None:
    if cluster.gpu_health is None:
        pytest.skip("only the GPUs that the project's own cluster pretends can be made ill")
    illness = cluster.gpu_health / "gpu-0"
    illness.touch()
    try:
        wait_for(
            "the ill GPU to leave allocatable",
            lambda: _allocatable(cluster),
            until=lambda seen: seen == allocatable - 1,
        )
    finally:
        illness.unlink()
    wait_for(
        "the GPU that is well again to come back",
        lambda: _allocatable(cluster),
        until=lambda seen: seen == allocatable,
    )
