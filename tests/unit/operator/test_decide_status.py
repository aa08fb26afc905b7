"""What a status tells of what is observed."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from splat_operator.api import SplatTrainingStatus
from splat_operator.decide import DeleteJob, decide
from splat_operator.world import Trouble, World

from .builders import (
    NOW,
    RESULT,
    condition,
    failed,
    finished,
    installation,
    job,
    pod,
    running,
    status_of,
    terminated,
    training,
    verdicts,
    waiting,
    world,
)

PULL_MESSAGE = 'failed to pull "nowhere/x:1": no such host'


def test_conditions_are_there_from_the_first_visit() -> None:
    told = status_of(training())
    assert told["phase"] == "Pending"
    assert told["observedGeneration"] == 1
    assert verdicts(told) == {
        "Accepted": "True",
        "KernelsReady": "Unknown",
        "Scheduled": "False",
        "Running": "False",
        "Succeeded": "Unknown",
    }


@pytest.mark.parametrize(
    ("observed", "phase", "reason", "held_at"),
    [
        ({"node": ""}, "Pending", "JobCreated", "Scheduled"),
        (
            {
                "node": "",
                "conditions": [
                    {
                        "type": "PodScheduled",
                        "status": "False",
                        "reason": "Unschedulable",
                        "message": "0/1 nodes are available: 1 Insufficient nvidia.com/gpu.",
                    }
                ],
            },
            "Queued",
            "Unschedulable",
            "Scheduled",
        ),
        (
            {
                "node": "",
                "conditions": [
                    {
                        "type": "PodScheduled",
                        "status": "False",
                        "reason": "Unschedulable",
                        "message": '0/1 nodes: persistentvolumeclaim "captures" not found.',
                    }
                ],
            },
            "Pending",
            "ClaimNotFound",
            "Accepted",
        ),
        (waiting("ContainerCreating"), "Pending", "Starting", "Running"),
        (waiting("ErrImagePull", PULL_MESSAGE), "Pending", "ImagePullBackOff", "Running"),
        (waiting("ErrImageNeverPull", "not there"), "Pending", "ImagePullBackOff", "Running"),
        (
            waiting("CreateContainerConfigError", 'secret "s3-credentials" not found'),
            "Pending",
            "SecretNotFound",
            "Accepted",
        ),
        (
            waiting(
                "CreateContainerConfigError",
                "couldn't find key AWS_ACCESS_KEY_ID in Secret gardens/s3-credentials",
            ),
            "Pending",
            "SecretNotFound",
            "Accepted",
        ),
        (
            waiting("CreateContainerConfigError", "image will run as root"),
            "Pending",
            "ContainerConfigError",
            "Running",
        ),
        (
            waiting("RunContainerError", "exec format error"),
            "Pending",
            "ContainerStartError",
            "Running",
        ),
        (running(), "Running", "Training", "Succeeded"),
    ],
)
def test_what_the_pod_waits_for_is_told(
    observed: dict[str, Any], phase: str, reason: str, held_at: str
) -> None:
    asked = training()
    told = status_of(asked, job(asked, active=1), pod(**observed))
    assert told["phase"] == phase
    assert condition(told, "Succeeded")["reason"] == reason
    assert condition(told, held_at)["reason"] == reason
    order = ["Accepted", "Scheduled", "Running", "Succeeded"]
    for kind in order[: order.index(held_at)]:
        assert condition(told, kind)["status"] == "True"
    for kind in order[order.index(held_at) : 3]:
        assert condition(told, kind)["status"] == "False"
    SplatTrainingStatus.model_validate(told)


def test_a_job_that_gets_no_pod_is_told_after_a_while() -> None:
    asked = training()
    early = decide(world(asked, job(asked)), NOW + timedelta(seconds=20))
    assert early.status is not None
    assert condition(dict(early.status), "Scheduled")["reason"] == "JobCreated"
    assert early.wake_at == NOW + timedelta(seconds=21)
    late = status_of(asked, job(asked), seconds=21)
    assert condition(late, "Scheduled")["reason"] == "PodNotCreated"
    assert "kubectl describe job garden-5f1c9a2e" in condition(late, "Scheduled")["message"]


def test_the_schedulers_own_words_are_passed_on() -> None:
    words = "0/1 nodes are available: 1 Insufficient nvidia.com/gpu."
    unplaced = pod(
        node="",
        conditions=[
            {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": words}
        ],
    )
    asked = training()
    assert condition(status_of(asked, job(asked), unplaced), "Scheduled")["message"] == words


def test_the_kubelets_two_ways_to_say_one_thing_are_written_once() -> None:
    asked = training()
    first = status_of(asked, job(asked), pod(**waiting("ErrImagePull", PULL_MESSAGE)))
    again = decide(
        world(
            training(status=first), job(asked), pod(**waiting("ImagePullBackOff", "Back-off ..."))
        ),
        NOW + timedelta(seconds=200),
    )
    assert again.status is None


def test_a_good_end_tells_figures_and_outputs_the_splat_first() -> None:
    asked = training()
    done = job(asked, **finished("Complete"))
    told = status_of(asked, done, pod(**terminated(0, json.dumps(RESULT), "Completed")))
    assert told["phase"] == "Succeeded"
    assert condition(told, "Succeeded")["status"] == "True"
    assert condition(told, "Running")["status"] == "False"
    assert told["result"]["psnr"] == "27.46"
    assert told["result"]["ssim"] == "0.9123"
    assert [output["format"] for output in told["outputs"]] == ["ply", "metrics"]
    assert told["progress"] == {
        "stage": "Done",
        "percent": "100%",
        "iteration": 300,
        "iterations": 300,
        "iterationsPerSecond": "10.0",
        "etaSeconds": 0,
        "eta": "0s",
        "psnr": "27.46",
        "gaussians": 12345,
    }
    assert told["attempts"] == 1
    assert told["startTime"] == "2026-03-01T12:00:05Z"
    assert told["completionTime"] == "2026-03-01T12:00:59Z"
    SplatTrainingStatus.model_validate(told)


def test_an_active_deadline_ends_the_training() -> None:
    asked = training(activeDeadlineSeconds=30)
    over = job(asked, spec={"activeDeadlineSeconds": 30}, **finished("Failed", "DeadlineExceeded"))
    assert condition(status_of(asked, over), "Succeeded")["reason"] == "DeadlineExceeded"


def test_a_start_deadline_ends_waiting_and_stops_the_job() -> None:
    asked = training(startDeadlineSeconds=30)
    stuck = pod(**waiting("ErrImagePull", PULL_MESSAGE))
    before = decide(world(asked, job(asked), stuck), NOW + timedelta(seconds=30))
    assert before.status is not None
    assert before.status["phase"] == "Pending"
    assert before.wake_at == NOW + timedelta(seconds=31)
    after = status_of(asked, job(asked), stuck, seconds=31)
    assert after["phase"] == "Failed"
    assert condition(after, "Succeeded")["reason"] == "StartDeadlineExceeded"
    assert PULL_MESSAGE in condition(after, "Succeeded")["message"]
    ended = training(startDeadlineSeconds=30, status=after)
    (action,) = decide(world(ended, job(ended), stuck), NOW).actions
    assert isinstance(action, DeleteJob)


def test_a_started_training_has_no_start_deadline_any_more() -> None:
    asked = training(startDeadlineSeconds=30)
    assert status_of(asked, job(asked), pod(**running()), seconds=500)["phase"] == "Running"


def test_a_refused_job_is_told_in_the_api_servers_words() -> None:
    told = status_of(training(), trouble=Trouble("Forbidden", "exceeded quota: gpus"))
    assert condition(told, "Accepted")["status"] == "False"
    assert condition(told, "Accepted")["reason"] == "JobRefused"
    assert "exceeded quota: gpus" in condition(told, "Accepted")["message"]


def test_a_change_of_the_job_that_is_refused_is_told_while_the_training_runs_on() -> None:
    asked = training(maxRetries=9)
    trouble = Trouble("Forbidden", "jobs.batch is forbidden: no patch")
    told = status_of(asked, job(asked), pod(**running()), trouble=trouble)
    assert condition(told, "Accepted")["status"] == "False"
    assert condition(told, "Accepted")["reason"] == "JobRefused"
    assert "no patch" in condition(told, "Accepted")["message"]
    assert condition(told, "Running")["status"] == "True"
    assert told["phase"] == "Running"


def test_an_old_definition_is_told_on_every_training_that_is_accepted() -> None:
    asked = training()
    old = replace(installation(), definition_fault="the CRD is old: apply the operator's")
    decided = decide(World(old, asked, job(asked), (pod(**running()),)), NOW)
    assert decided.status is not None
    accepted = condition(dict(decided.status), "Accepted")
    assert accepted["status"] == "True"
    assert accepted["message"].endswith("but the CRD is old: apply the operator's")


def test_a_spec_that_cannot_be_read_names_its_field() -> None:
    told = status_of(training(resources={"gpus": "many"}))
    assert condition(told, "Accepted")["reason"] == "InvalidSpec"
    assert "spec.resources.gpus" in condition(told, "Accepted")["message"]


@pytest.mark.parametrize("counted", [True, False])
def test_no_good_end_is_told_before_the_spec_can_be_read(counted: bool) -> None:
    """A newer CRD's field stays in the spec when the operator is rolled back."""
    quality = {"qualityGate": {"minPsnr": 30}}
    newer = training(**quality, notKnownYet=True)
    kept = {"iteration": 300, "uri": "/output/checkpoint_0000300.pt"}
    files = [{"format": "ply", "uri": "/output/point_cloud.ply", "bytes": 99}]
    done = pod(**terminated(0, json.dumps(RESULT | {"outputs": files, "checkpoint": kept})))
    ended = job(newer, **(finished("Complete") if counted else {}))
    told = status_of(newer, ended, done)
    assert told["phase"] == "Pending"
    assert condition(told, "Succeeded")["status"] == "Unknown"
    assert condition(told, "Succeeded")["reason"] == "InvalidSpec"
    assert "notKnownYet" in condition(told, "Accepted")["message"]
    assert not {"outputs", "checkpoint", "completionTime"} & set(told)
    assert decide(world(newer, ended, done), NOW).actions == ()
    again = training(**quality, status=told)
    told = status_of(again, ended, done)
    assert condition(told, "Succeeded")["reason"] == "QualityGateFailed"
    assert told["outputs"][0]["uri"] == "pvc://splats/point_cloud.ply"
    assert told["checkpoint"]["uri"] == "pvc://splats/checkpoint_0000300.pt"


def test_a_failure_is_told_though_the_spec_cannot_be_read() -> None:
    newer = training(notKnownYet=True)
    over = job(newer, **finished("Failed", "PodFailurePolicy"))
    told = status_of(newer, over, pod(**failed("InvalidCapture", "no images", 65)))
    assert condition(told, "Succeeded")["reason"] == "InvalidCapture"


def test_suspension_is_a_phase_of_its_own() -> None:
    asked = training(suspend=True)
    told = status_of(asked, job(asked, spec={"suspend": True}))
    assert told["phase"] == "Suspended"


def test_transition_times_move_only_with_the_status_of_a_condition() -> None:
    asked = training()
    first = status_of(asked, job(asked), pod(**waiting("ContainerCreating")), seconds=10)
    then = status_of(training(status=first), job(asked), pod(**running()), seconds=20)
    assert condition(then, "Scheduled")["lastTransitionTime"] == "2026-03-01T12:00:10Z"
    assert condition(then, "Running")["lastTransitionTime"] == "2026-03-01T12:00:20Z"


def test_a_change_of_reason_is_one_event_and_no_change_is_none() -> None:
    asked = training()
    placed = pod(**running())
    first = decide(world(asked, job(asked), placed), NOW)
    assert [event.reason for event in first.events] == ["Training"]
    assert first.status is not None
    again = decide(world(training(status=dict(first.status)), job(asked), placed), NOW)
    assert again.status is None
    assert again.events == ()


def test_what_the_endpoint_wrote_is_no_reason_to_write() -> None:
    asked = training()
    first = status_of(asked, job(asked), pod(**running()))
    reported = {**first, "progress": {"stage": "Training", "percent": "4%"}}
    assert (
        decide(world(training(status=reported), job(asked), pod(**running())), NOW).status is None
    )


def test_a_failure_keeps_what_was_reported_and_promises_nothing() -> None:
    asked = training(status={"progress": {"stage": "Training", "percent": "45%", "eta": "9s"}})
    told = status_of(
        asked,
        job(asked, **finished("Failed", "PodFailurePolicy")),
        pod(**failed("OutOfGpuMemory", "lower maxGaussians", 78)),
    )
    assert told["progress"] == {
        "stage": "Training",
        "percent": "45%",
        "eta": "",
        "etaSeconds": 0,
    }


@pytest.mark.parametrize(
    "message",
    [
        '{"outcome":"Succeeded","exitCode":0,"reason":"Trained","message":"x","psnr":NaN}',
        '{"outcome":"Succeeded","exitCode":0,"reason":"Trained","message":"x","psnr":1e999,'
        '"trainSeconds":1e300,"gaussians":1e400}',
        '{"outcome":"Succeeded","exitCode":0,"reason":"Trained","message":"a\\u001b[2Jb\\nc"}',
        '{"outcome":"Succeeded","exitCode":0,"reason":"Trained","message":"x","newer":{"a":1}}',
        "[" * 4000,
        "not json",
    ],
)
def test_a_hostile_termination_message_makes_a_status_that_the_api_takes(message: str) -> None:
    asked = training()
    done = job(asked, **finished("Complete"))
    told = status_of(asked, done, pod(**terminated(0, message, "Completed")))
    assert told["phase"] == "Succeeded"
    json.dumps(told, allow_nan=False)
    assert all(char.isprintable() for char in condition(told, "Succeeded")["message"])
    SplatTrainingStatus.model_validate(told)


def test_an_end_is_never_taken_back() -> None:
    asked = training()
    done = job(asked, **finished("Complete"))
    told = status_of(asked, done, pod(**terminated(0, json.dumps(RESULT), "Completed")))
    over = training(status=told)
    assert decide(world(over, None), NOW).status is None
    assert decide(world(over, job(over, active=1), pod(**running())), NOW).status is None
    changed = decide(world(training(status=told, generation=2), done), NOW).status
    assert changed is not None
    assert changed["observedGeneration"] == 2
    seen = [{**one, "observedGeneration": 2} for one in told["conditions"]]
    assert changed == {**told, "observedGeneration": 2, "conditions": seen}
