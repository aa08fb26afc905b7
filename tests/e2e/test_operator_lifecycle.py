"""Stopped, killed, evicted, suspended, deleted: nothing is run twice and nothing is lost."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.cluster.waiting import wait_for
from tests.e2e.installation import Operator
from tests.e2e.replicas import kill, leader, replicas, wait_until_ready
from tests.e2e.trainings import LONG, Namespace, Raw, condition, training

pytestmark = pytest.mark.cluster

SOME: dict[str, Any] = {**LONG, "iterations": 60}
"""Long enough to be interrupted, short enough to be waited for."""


@pytest.fixture(scope="module")
def garden(shared_trainings: Namespace) -> Namespace:
    """The module's namespace with a small capture on a claim."""
    shared_trainings.make_capture()
    return shared_trainings


def pods_of(garden: Namespace, name: str) -> list[Raw]:
    labelled = f"splatting.dev/training={name}"
    return garden.cluster.list("pods", garden.name, labelled)


def jobs_of(garden: Namespace, name: str) -> list[Raw]:
    labelled = f"splatting.dev/training={name}"
    return garden.cluster.list("jobs", garden.name, labelled)


def test_deleting_a_training_stops_its_pod_and_keeps_its_outputs(garden: Namespace) -> None:
    garden.apply(training("deleted", training=LONG))
    garden.wait_for_iteration("deleted", 1)
    scope = f"--namespace={garden.name}"
    garden.cluster.kubectl("delete", "splattraining", "deleted", scope, "--timeout=30s")
    wait_for(
        "Job and pod to be gone",
        lambda: (jobs_of(garden, "deleted"), pods_of(garden, "deleted")),
        until=lambda seen: seen == ([], []),
    )
    assert garden.cluster.get("pvc", "splats", garden.name) is not None


def test_no_finalizer_and_no_annotation_of_the_operators_is_left_on_anything(
    garden: Namespace,
) -> None:
    garden.apply(training("plain", suspend=True))
    garden.wait_for_phase("plain", "Suspended")
    metadata = garden.training("plain")["metadata"]
    assert "finalizers" not in metadata
    assert "annotations" not in metadata


def test_a_suspended_training_frees_its_pod_and_goes_on_from_its_checkpoint(
    garden: Namespace,
) -> None:
    garden.apply(training("paused", training=SOME))
    garden.wait_for_iteration("paused", 8)
    assert garden.patch("paused", suspend=True).returncode == 0
    status = garden.wait_for_phase("paused", "Suspended")
    assert condition(status, "Running")["status"] == "False"
    wait_for("its pod to be gone", lambda: pods_of(garden, "paused"), until=lambda seen: not seen)
    assert garden.patch("paused", suspend=False).returncode == 0
    status = garden.wait_for_phase("paused", "Running")
    resumed = garden.wait_for_iteration("paused", 1)
    assert resumed["progress"]["iteration"] >= 8
    status = garden.wait_for_phase("paused", "Succeeded", 240)
    assert status["attempts"] == 2
    assert status["result"]["iterations"] == SOME["iterations"]


def test_an_evicted_pod_is_replaced_without_counting_and_goes_on(garden: Namespace) -> None:
    garden.apply(training("evicted", training=SOME, maxRetries=0))
    garden.wait_for_iteration("evicted", 8)
    (pod,) = pods_of(garden, "evicted")
    name = pod["metadata"]["name"]
    eviction = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": name, "namespace": garden.name},
    }
    path = f"/api/v1/namespaces/{garden.name}/pods/{name}/eviction"
    garden.cluster.kubectl("create", f"--raw={path}", "--filename=-", stdin=json.dumps(eviction))
    status = garden.wait_for_phase("evicted", "Succeeded", 240)
    assert status["attempts"] == 2
    assert status["podName"] != name


def test_a_pod_killed_without_a_word_is_tried_again(garden: Namespace) -> None:
    garden.apply(training("killed", training=SOME, checkpoint={"interval": 10}))
    garden.wait_for_iteration("killed", 8)
    (pod,) = pods_of(garden, "killed")
    garden.cluster.kubectl(
        *("delete", "pod", pod["metadata"]["name"], f"--namespace={garden.name}"),
        *("--grace-period=0", "--force"),
    )
    garden.wait("killed", "at its second attempt", lambda seen: seen.get("attempts") == 2)
    garden.wait_for_phase("killed", "Succeeded", 240)
    assert len(jobs_of(garden, "killed")) == 1


def test_the_job_and_its_logs_go_when_their_time_to_live_is_over(garden: Namespace) -> None:
    garden.apply(training("brief", ttlSecondsAfterFinished=1))
    garden.wait_for_phase("brief", "Succeeded", 180)
    wait_for("the Job to be gone", lambda: jobs_of(garden, "brief"), until=lambda seen: not seen)
    # And it is not made again.
    garden.cluster.kubectl(
        *("annotate", "splattraining", "brief", "touched=yes", f"--namespace={garden.name}")
    )
    status = garden.status("brief")
    assert status["phase"] == "Succeeded"
    assert jobs_of(garden, "brief") == []


def test_a_job_deleted_by_somebody_is_made_again_and_goes_on(garden: Namespace) -> None:
    garden.apply(training("bereft", training=SOME))
    garden.wait_for_iteration("bereft", 8)
    (job,) = jobs_of(garden, "bereft")
    scope = f"--namespace={garden.name}"
    garden.cluster.kubectl("delete", "job", job["metadata"]["name"], scope)
    status = garden.wait_for_phase("bereft", "Succeeded", 240)
    (again,) = jobs_of(garden, "bereft")
    assert again["metadata"]["uid"] != job["metadata"]["uid"]
    assert status["attempts"] == 2


def test_an_operator_killed_in_the_middle_takes_up_where_it_was(
    garden: Namespace, operator: Operator
) -> None:
    garden.apply(training("orphan", training=SOME))
    garden.wait_for_phase("orphan", "Running")
    for _ in range(3):
        for pod in replicas(operator):
            kill(operator, pod)
        wait_until_ready(operator)
    status = garden.wait_for_phase("orphan", "Succeeded", 240)
    assert len(jobs_of(garden, "orphan")) == 1
    assert len(pods_of(garden, "orphan")) == 1
    assert status["attempts"] == 1


def test_a_training_that_ends_while_nobody_looks_is_told_afterwards(
    garden: Namespace, operator: Operator
) -> None:
    garden.apply(training("unseen"))
    garden.wait("unseen", "made", lambda status: "jobName" in status)
    scale = ("scale", "deployment/splat-operator", f"--namespace={operator.namespace}")
    operator.cluster.kubectl(*scale, "--replicas=0")
    try:
        wait_for(
            "the Job to be complete",
            lambda: jobs_of(garden, "unseen")[0]["status"].get("succeeded"),
            timeout=180,
        )
        assert garden.status("unseen")["phase"] != "Succeeded"
    finally:
        operator.cluster.kubectl(*scale, "--replicas=2")
    status = garden.wait_for_phase("unseen", "Succeeded")
    assert status["progress"]["percent"] == "100%"
    assert status["result"]["psnr"]


def test_of_two_replicas_one_leads_and_the_other_takes_over(
    garden: Namespace, operator: Operator
) -> None:
    wait_until_ready(operator)
    first = wait_for("a leader", lambda: leader(operator))
    assert first in replicas(operator)
    kill(operator, first)
    second = wait_for(
        "another leader", lambda: leader(operator), 30, until=lambda name: name not in ("", first)
    )
    assert second in replicas(operator)
    garden.apply(training("after", suspend=True))
    garden.wait_for_phase("after", "Suspended")


def test_two_hundred_trainings_at_once_get_two_hundred_jobs(trainings: Namespace) -> None:
    names = [f"crowd-{number}" for number in range(200)]
    trainings.apply(*(training(name, suspend=True) for name in names))

    def suspended() -> int:
        found = trainings.cluster.list("splattrainings", trainings.name)
        return [one.get("status", {}).get("phase") for one in found].count("Suspended")

    wait_for("all to be suspended", suspended, 120, until=lambda count: count == len(names))
    made = [job["metadata"]["labels"]["splatting.dev/training"] for job in trainings.jobs()]
    assert sorted(made) == sorted(names)
