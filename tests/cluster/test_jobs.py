"""Jobs fail, survive and vanish as their spec says."""

from __future__ import annotations

import json

import pytest

from tests.cluster.client import Cluster
from tests.cluster.looking import conditions, wait_for_phase
from tests.cluster.manifests import job
from tests.cluster.waiting import wait_for

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("busybox_image")]

FAIL_AT_65 = {"action": "FailJob", "onExitCodes": {"operator": "In", "values": [65]}}
IGNORE_DISRUPTION = {
    "action": "Ignore",
    "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}],
}
POLICY = {"rules": [FAIL_AT_65, IGNORE_DISRUPTION]}


def test_exit_code_65_fails_a_job_at_once_though_it_may_retry(
    cluster: Cluster, namespace: str
) -> None:
    fatal = job("fatal", "exit 65", backoffLimit=6, podFailurePolicy=POLICY)
    cluster.apply(fatal, namespace=namespace)

    failed = wait_for(
        "the Job to fail",
        lambda: conditions(cluster.get("job", "fatal", namespace)).get("Failed"),
    )

    assert failed["reason"] == "PodFailurePolicy"
    assert len(cluster.list("pods", namespace)) == 1


def test_an_evicted_pod_is_replaced_and_does_not_count_as_a_failure(
    cluster: Cluster, namespace: str
) -> None:
    patient = job("patient", "sleep 600", backoffLimit=0, podFailurePolicy=POLICY)
    cluster.apply(patient, namespace=namespace)
    first = _running_pod(cluster, namespace, but_not="")

    eviction = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": first, "namespace": namespace},
    }
    path = f"/api/v1/namespaces/{namespace}/pods/{first}/eviction"
    cluster.kubectl("create", f"--raw={path}", "--filename=-", stdin=json.dumps(eviction))

    _running_pod(cluster, namespace, but_not=first)
    status = (cluster.get("job", "patient", namespace) or {})["status"]
    assert status.get("failed", 0) == 0
    assert "Failed" not in conditions({"status": status})


def test_a_finished_job_is_removed_after_its_time_to_live(cluster: Cluster, namespace: str) -> None:
    cluster.apply(job("brief", "true", ttlSecondsAfterFinished=0), namespace=namespace)

    wait_for(
        "the finished Job to be removed",
        lambda: cluster.get("job", "brief", namespace),
        until=lambda found: found is None,
    )


def test_the_last_words_of_a_container_are_in_its_status(cluster: Cluster, namespace: str) -> None:
    script = "echo a reason >/dev/termination-log; exit 3"
    cluster.apply(job("last-words", script, backoffLimit=0), namespace=namespace)
    wait_for(
        "the Job to fail",
        lambda: conditions(cluster.get("job", "last-words", namespace)).get("Failed"),
    )

    pods = cluster.list("pods", namespace)

    terminated = pods[0]["status"]["containerStatuses"][0]["state"]["terminated"]
    assert (terminated["exitCode"], terminated["message"]) == (3, "a reason\n")


def _running_pod(cluster: Cluster, namespace: str, but_not: str) -> str:
    def running() -> list[str]:
        return [
            pod["metadata"]["name"]
            for pod in cluster.list("pods", namespace)
            if pod["status"].get("phase") == "Running"
            and "deletionTimestamp" not in pod["metadata"]
            and pod["metadata"]["name"] != but_not
        ]

    name = wait_for("the Job's pod to run", running)[0]
    wait_for_phase(cluster, name, namespace, "Running")
    return name
