"""Stopped, killed, evicted, suspended, deleted: nothing is run twice and nothing is lost."""

from __future__ import annotations

import json
import random
import time
from datetime import datetime

import pytest

from tests.cluster.waiting import wait_for
from tests.e2e.installation import RELEASE, Operator
from tests.e2e.interruptions import goes_on, interrupted, jobs_of, pods_of
from tests.e2e.replicas import kill, leader, replicas, wait_until_ready
from tests.e2e.trainings import LONG, SPLATS, Namespace, condition, training

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def garden(shared_trainings: Namespace) -> Namespace:
    """The module's namespace with a small capture on a claim."""
    shared_trainings.make_capture()
    return shared_trainings


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
    _, step = interrupted(garden, "paused")
    assert garden.patch("paused", suspend=True).returncode == 0
    status = garden.wait_for_phase("paused", "Suspended")
    assert condition(status, "Running")["status"] == "False"
    wait_for("its pod to be gone", lambda: pods_of(garden, "paused"), until=lambda seen: not seen)
    assert garden.patch("paused", suspend=False).returncode == 0
    goes_on(garden, "paused", step)


def test_in_a_queue_the_job_waits_for_whoever_admits_it_and_starts_where_that_one_says(
    garden: Namespace,
) -> None:
    # The test is the queue: it does to the Job what Kueue does.
    labels = {"metadata": {"labels": {"team": "maps"}}}
    garden.apply(training("queued", queueName="maps", podTemplateOverrides=labels))
    garden.wait_for_phase("queued", "Queued")
    (job,) = jobs_of(garden, "queued")
    assert job["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "maps"
    assert pods_of(garden, "queued") == []
    placed = {"kubernetes.io/os": "linux"}
    admitted = {"suspend": False, "template": {"spec": {"nodeSelector": placed}}}
    garden.cluster.kubectl(
        *("patch", "job", job["metadata"]["name"], f"--namespace={garden.name}", "--type=merge"),
        f"--patch={json.dumps({'spec': admitted})}",
    )
    garden.wait_for_phase("queued", "Succeeded", 180)
    (pod,) = pods_of(garden, "queued")
    assert pod["spec"]["nodeSelector"] == placed
    assert pod["metadata"]["labels"]["team"] == "maps"


def test_a_pod_killed_without_a_word_is_tried_again(garden: Namespace) -> None:
    pod, step = interrupted(garden, "killed", least=25, checkpoint={"interval": 10})
    # What it would lose is told while it runs.
    kept = garden.wait_for_checkpoint("killed", 10)
    assert kept["phase"] == "Running"
    name = f"checkpoint_{kept['checkpoint']['iteration']:07d}.pt"
    assert kept["checkpoint"]["uri"] == f"pvc://{SPLATS}/killed/checkpoints/{name}"
    garden.cluster.kubectl(
        *("delete", "pod", pod["metadata"]["name"], f"--namespace={garden.name}"),
        *("--grace-period=0", "--force"),
    )
    again = garden.wait("killed", "tried again", lambda seen: seen.get("attempts") == 2)
    assert again["checkpoint"]["iteration"] >= kept["checkpoint"]["iteration"]
    # What the operator has kept in the status gives way to what the next pod saves.
    garden.wait_for_checkpoint("killed", again["checkpoint"]["iteration"] + 10)
    # What it did after its last checkpoint is lost.
    goes_on(garden, "killed", step - 10)


def test_a_job_deleted_by_somebody_is_made_again_and_goes_on(garden: Namespace) -> None:
    _, step = interrupted(garden, "bereft")
    (job,) = jobs_of(garden, "bereft")
    scope = f"--namespace={garden.name}"
    garden.cluster.kubectl("delete", "job", job["metadata"]["name"], scope)
    goes_on(garden, "bereft", step)


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


def test_an_operator_killed_at_ten_moments_of_a_training_takes_up_where_it_was(
    garden: Namespace, operator: Operator
) -> None:
    moments = random.Random(5)  # noqa: S311 - moments, no secret
    garden.apply(training("orphan", training={"iterations": 300, "maxGaussians": 5000}))
    for number in range(10):
        # The first falls before there is a Job, others while it starts, trains and ends.
        for replica in replicas(operator):
            kill(operator, replica)
        if number == 5:  # when the Lease of those that died is over
            wait_for("a leader", lambda: leader(operator) in replicas(operator))
        time.sleep(moments.uniform(0, 2))
    wait_until_ready(operator)
    status = garden.wait_for_phase("orphan", "Succeeded", 180)
    assert (status["attempts"], status["progress"]["percent"]) == (1, "100%")
    assert status["progress"]["iteration"] == 300
    assert status["result"]["psnr"]
    assert len(jobs_of(garden, "orphan")) == 1
    (pod,) = pods_of(garden, "orphan")
    assert pod["metadata"]["name"] == status["podName"]


def test_a_training_that_ends_while_nobody_looks_is_told_afterwards(
    garden: Namespace, operator: Operator
) -> None:
    # In a queue the Job starts when the test says so: not before nobody looks.
    garden.apply(training("unseen", queueName="maps"))
    garden.wait_for_phase("unseen", "Queued")
    (job,) = jobs_of(garden, "unseen")
    scale = ("scale", "deployment/splat-operator", f"--namespace={operator.namespace}")
    operator.cluster.kubectl(*scale, "--replicas=0")
    wait_for("the operator to be gone", lambda: replicas(operator), until=lambda left: not left)
    operator.cluster.kubectl(
        *("wait", "--for=delete", "pod", "--selector=app.kubernetes.io/name=splat-operator"),
        *(f"--namespace={operator.namespace}", "--timeout=90s"),
    )
    operator.cluster.kubectl(
        *("patch", "job", job["metadata"]["name"], f"--namespace={garden.name}", "--type=merge"),
        '--patch={"spec": {"suspend": false}}',
    )
    try:
        wait_for(
            "the Job to be complete",
            lambda: jobs_of(garden, "unseen")[0]["status"].get("succeeded"),
            timeout=180,
        )
        assert garden.status("unseen")["phase"] == "Queued"
    finally:
        operator.cluster.kubectl(*scale, "--replicas=2")
    status = garden.wait_for_phase("unseen", "Succeeded")
    assert status["progress"]["percent"] == "100%"
    assert status["result"]["psnr"]


def lease_time(operator: Operator, field: str) -> datetime:
    lease = operator.cluster.get("lease", RELEASE, operator.namespace) or {}
    return datetime.fromisoformat(lease["spec"][field])


def test_of_two_replicas_one_leads_and_the_other_takes_over(
    garden: Namespace, operator: Operator
) -> None:
    wait_until_ready(operator)
    first = wait_for("a leader", lambda: leader(operator))
    assert first in replicas(operator)
    kill(operator, first)
    alive = lease_time(operator, "renewTime")
    second = wait_for(
        "another leader", lambda: leader(operator), 30, until=lambda name: name not in ("", first)
    )
    assert second in replicas(operator)
    taken = (lease_time(operator, "acquireTime") - alive).total_seconds()
    print(f"taken over {taken:.1f} s after the leader's last sign of life")
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
