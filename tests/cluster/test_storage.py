"""Claims on the default StorageClass hold what pods write."""

from __future__ import annotations

import pytest

from tests.cluster.client import Cluster
from tests.cluster.looking import output_of, wait_for_phase
from tests.cluster.manifests import claim, pod
from tests.cluster.waiting import wait_for

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("busybox_image")]


def test_what_one_pod_writes_the_next_reads(cluster: Cluster, namespace: str) -> None:
    writer = pod("writer", "echo kept > /data/file", claim="data")
    cluster.apply(claim("data", "ReadWriteOnce"), writer, namespace=namespace)
    output_of(cluster, "writer", namespace)
    cluster.kubectl("delete", "pod", "writer", f"--namespace={namespace}")

    cluster.apply(pod("reader", "cat /data/file", claim="data"), namespace=namespace)

    assert output_of(cluster, "reader", namespace) == "kept\n"


def test_a_claim_waits_for_its_first_consumer(cluster: Cluster, namespace: str) -> None:
    cluster.apply(claim("data", "ReadWriteOnce"), namespace=namespace)

    def events() -> set[str]:
        return {event["reason"] for event in cluster.list("events", namespace)}

    wait_for("the claim to wait", events, until=lambda seen: "WaitForFirstConsumer" in seen)
    found = cluster.get("pvc", "data", namespace)
    assert found is not None
    assert found["status"]["phase"] == "Pending"


def test_two_pods_share_a_claim_for_many(cluster: Cluster, namespace: str) -> None:
    listener = "until cat /data/word; do sleep 0.2; done 2>/dev/null"
    cluster.apply(
        claim("shared", "ReadWriteMany"),
        pod("listener", listener, claim="shared"),
        namespace=namespace,
    )
    wait_for_phase(cluster, "listener", namespace, "Running")

    speaker = "echo heard > /data/new && mv /data/new /data/word"
    cluster.apply(pod("speaker", speaker, claim="shared"), namespace=namespace)

    assert output_of(cluster, "listener", namespace) == "heard\n"


def test_the_volume_of_a_deleted_claim_is_removed(cluster: Cluster, namespace: str) -> None:
    cluster.apply(
        claim("data", "ReadWriteOnce"), pod("user", "true", claim="data"), namespace=namespace
    )
    output_of(cluster, "user", namespace)
    found = cluster.get("pvc", "data", namespace)
    assert found is not None

    cluster.kubectl("delete", "pod/user", "pvc/data", f"--namespace={namespace}")

    wait_for(
        "the volume to be removed",
        lambda: cluster.get("pv", found["spec"]["volumeName"]),
        until=lambda volume: volume is None,
    )
