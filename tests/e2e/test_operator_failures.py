"""What keeps a training from starting or ends it is told in the resource; provoked for real."""

from __future__ import annotations

import json

import pytest

from tests.cluster.waiting import wait_for
from tests.e2e.trainings import (
    LONG,
    Namespace,
    claim,
    condition,
    message_of,
    reason_of,
    s3,
    secret,
    training,
)

pytestmark = pytest.mark.cluster

UNPLACEABLE = {"gpus": 1, "gpuResourceName": "example.com/no-such-gpu"}

ANY_KEYS = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}


@pytest.fixture(scope="module")
def garden(shared_trainings: Namespace) -> Namespace:
    """The module's namespace with a small capture on a claim."""
    shared_trainings.make_capture()
    return shared_trainings


def test_a_pod_that_no_node_takes_is_queued_in_the_schedulers_words(garden: Namespace) -> None:
    garden.apply(training("unplaceable", resources=UNPLACEABLE))
    status = garden.wait_for_reason("unplaceable", "Unschedulable")
    assert status["phase"] == "Queued"
    assert "Insufficient example.com/no-such-gpu" in condition(status, "Scheduled")["message"]
    assert condition(status, "Accepted")["status"] == "True"
    assert condition(status, "Succeeded")["status"] == "Unknown"


def test_a_training_nested_deeply_is_invalid_and_the_operator_goes_on(garden: Namespace) -> None:
    """As text: Python's own JSON does not write it, and was what the operator died of."""
    manifest = json.dumps(training("deep", podTemplateOverrides="HERE"))
    deep = '{"spec":' + '{"a":' * 1_490 + "1" + "}" * 1_490 + "}"
    here = ("splattraining", "deep", f"--namespace={garden.name}")
    garden.cluster.kubectl(
        *("create", f"--namespace={garden.name}", "--filename=-"),
        stdin=manifest.replace('"HERE"', deep),
    )
    try:
        told = "jsonpath={.status.conditions[?(@.type=='Succeeded')].reason}"
        wait_for(
            "the deep one to be told of",
            lambda: garden.cluster.kubectl("get", *here, "--output", told),
            until=lambda reason: reason == "InvalidSpec",
        )
        garden.apply(training("beside-the-deep-one", resources=UNPLACEABLE))
        garden.wait_for_reason("beside-the-deep-one", "Unschedulable")
    finally:
        garden.cluster.kubectl("delete", *here)


def test_an_image_that_cannot_be_pulled_is_told(garden: Namespace) -> None:
    garden.apply(training("imageless", image="registry.invalid/trainer:1"))
    status = garden.wait_for_reason("imageless", "ImagePullBackOff")
    assert status["phase"] == "Pending"
    assert "registry.invalid/trainer:1" in message_of(status)
    assert condition(status, "Scheduled")["status"] == "True"
    assert condition(status, "Running")["reason"] == "ImagePullBackOff"


def test_a_start_deadline_ends_the_waiting_and_takes_the_job_along(garden: Namespace) -> None:
    garden.apply(training("impatient", resources=UNPLACEABLE, startDeadlineSeconds=5))
    status = garden.wait_for_reason("impatient", "StartDeadlineExceeded")
    assert status["phase"] == "Failed"
    assert "Insufficient" in message_of(status)
    wait_for(
        "the Job to be gone",
        lambda: [job for job in garden.jobs() if job["metadata"]["name"].startswith("impatient")],
        until=lambda jobs: not jobs,
    )


def test_a_missing_secret_is_named_and_heals_when_it_appears(garden: Namespace) -> None:
    place = s3("s3://captures/garden", "http://nowhere.invalid:1")
    place["s3"]["credentialsSecretRef"] = {"name": "not-yet"}
    garden.apply(training("secretless", source=place, maxRetries=0))
    status = garden.wait_for_reason("secretless", "SecretNotFound")
    assert condition(status, "Accepted")["status"] == "False"
    assert 'secret "not-yet" not found' in condition(status, "Accepted")["message"]
    garden.apply(secret("not-yet", **ANY_KEYS))
    status = garden.wait_for_phase("secretless", "Failed")
    assert condition(status, "Accepted")["status"] == "True"
    assert reason_of(status) == "StorageUnavailable"


def test_a_missing_claim_is_named_and_heals_when_it_appears(garden: Namespace) -> None:
    late = {"persistentVolumeClaim": {"claimName": "late"}}
    garden.apply(training("claimless", output=late))
    status = garden.wait_for_reason("claimless", "ClaimNotFound")
    assert condition(status, "Accepted")["status"] == "False"
    assert '"late" not found' in condition(status, "Accepted")["message"]
    garden.apply(claim("late"))
    garden.wait_for_phase("claimless", "Succeeded", 180)


def test_a_pod_that_needs_more_memory_than_it_asked_for_is_told(garden: Namespace) -> None:
    garden.apply(
        training("hungry", resources={"gpus": 0, "memory": "40Mi"}, maxRetries=0, training=LONG)
    )
    status = garden.wait_for_phase("hungry", "Failed")
    assert reason_of(status) == "OOMKilled"


def test_an_image_that_is_no_trainer_is_told_with_the_end_of_its_log(
    garden: Namespace, busybox_image: str
) -> None:
    garden.apply(training("no-trainer", image=busybox_image, maxRetries=0))
    status = garden.wait(
        "no-trainer",
        "told",
        lambda seen: reason_of(seen) in ("ContainerStartError", "TrainerCrashed"),
    )
    assert "train" in message_of(status)


def test_an_active_deadline_ends_a_training(garden: Namespace) -> None:
    garden.apply(training("endless", training=LONG, activeDeadlineSeconds=12))
    status = garden.wait_for_phase("endless", "Failed")
    assert reason_of(status) == "DeadlineExceeded"
    assert "activeDeadlineSeconds (12 s)" in message_of(status)


def test_a_job_that_a_quota_refuses_is_told_and_made_when_there_is_room(
    trainings: Namespace,
) -> None:
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "no-jobs"},
        "spec": {"hard": {"count/jobs.batch": "0"}},
    }
    trainings.apply(quota)
    wait_for(
        "the quota to count",
        lambda: (trainings.cluster.get("resourcequota", "no-jobs", trainings.name) or {}).get(
            "status", {}
        ),
    )
    trainings.apply(training("refused", suspend=True))
    status = trainings.wait_for_reason("refused", "JobRefused")
    assert condition(status, "Accepted")["status"] == "False"
    assert "exceeded quota: no-jobs" in message_of(status)
    assert "jobName" not in status
    scope = f"--namespace={trainings.name}"
    trainings.cluster.kubectl("delete", "resourcequota", "no-jobs", scope)
    status = trainings.wait_for_phase("refused", "Suspended")
    assert condition(status, "Accepted")["status"] == "True"


def test_a_pod_that_a_quota_refuses_is_told(trainings: Namespace) -> None:
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "no-gpus"},
        "spec": {"hard": {"requests.nvidia.com/gpu": "0"}},
    }
    trainings.apply(quota)
    trainings.apply(training("podless", resources={"gpus": 1}))
    status = trainings.wait(
        "podless",
        "told in the API server's words",
        lambda seen: "exceeded quota: no-gpus" in message_of(seen),
    )
    assert reason_of(status) == "PodNotCreated"
    assert condition(status, "Accepted")["status"] == "True"
    assert condition(status, "Scheduled")["status"] == "False"


def test_an_override_that_would_loosen_the_pod_is_refused_by_its_field(garden: Namespace) -> None:
    loose = {"spec": {"hostNetwork": True}}
    garden.apply(training("loose", podTemplateOverrides=loose))
    status = garden.wait_for_reason("loose", "InvalidPodTemplateOverrides")
    assert condition(status, "Accepted")["status"] == "False"
    assert "spec.podTemplateOverrides.spec.hostNetwork" in message_of(status)
    assert [job for job in garden.jobs() if job["metadata"]["name"].startswith("loose")] == []
