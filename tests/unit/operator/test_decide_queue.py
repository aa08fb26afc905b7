"""`spec.queueName`: when a Job in a queue starts, and where, is Kueue's."""

from typing import Any

import pytest

from splat_operator.decide import CreateJob, DeleteJob, UpdateJob, decide
from splat_operator.world import Job, Training, World

from .builders import (
    NOW,
    condition,
    installation,
    job,
    pod,
    running,
    status_of,
    training,
    verdicts,
    world,
)

MARK = "splatting.dev/suspended"


def in_queue(**status: object) -> Job:
    return job(training(queueName="maps"), spec={"suspend": True}, **status)


def test_the_job_is_made_suspended_with_the_queues_label_on_it_and_not_on_its_pods() -> None:
    (action,) = decide(world(training(queueName="maps")), NOW).actions
    assert isinstance(action, CreateJob)
    assert action.manifest["spec"]["suspend"] is True
    assert action.manifest["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "maps"
    labels = action.manifest["spec"]["template"]["metadata"]["labels"]
    assert "kueue.x-k8s.io/queue-name" not in labels


def test_until_kueue_admits_it_the_training_is_queued() -> None:
    decision = decide(world(training(queueName="maps"), in_queue()), NOW)
    assert decision.actions == ()
    assert decision.status is not None
    assert decision.status["phase"] == "Queued"
    told = condition(dict(decision.status), "Scheduled")
    assert (told["status"], told["reason"]) == ("False", "Queued")
    assert "queue maps" in told["message"]


def test_what_kueue_admits_is_not_suspended_again() -> None:
    asked = training(queueName="maps")
    decision = decide(world(asked, job(asked), pod(**running())), NOW)
    assert decision.actions == ()
    assert decision.status is not None
    assert decision.status["phase"] == "Running"


def test_a_preempted_training_is_queued_again_and_not_touched() -> None:
    asked = training(queueName="maps")
    decision = decide(world(asked, in_queue(), pod(**running())), NOW)
    assert decision.actions == ()
    assert decision.status is not None
    assert decision.status["phase"] == "Queued"
    assert "preempted" in condition(dict(decision.status), "Scheduled")["message"]


def test_what_ran_before_says_that_it_waits_again_and_where_it_goes_on() -> None:
    ran = {"podName": "garden-1"}
    kept = {"iteration": 4000, "uri": "pvc://splats/checkpoints/checkpoint_0004000.pt"}
    for status, told in (
        ({}, "waits in queue maps"),
        (ran, "waits in queue maps again"),
        ({**ran, "checkpoint": kept}, "waits in queue maps again, to go on from iteration 4000"),
    ):
        asked = training(queueName="maps", status=status)
        decision = decide(world(asked, in_queue()), NOW)
        assert decision.status is not None
        assert condition(dict(decision.status), "Scheduled")["message"].endswith(told)


def test_the_users_own_suspend_takes_the_job_out_of_the_queue_after_its_checkpoint() -> None:
    asked = training(queueName="maps", suspend=True)
    (action,) = decide(world(asked, job(asked), pod(**running())), NOW).actions
    assert isinstance(action, DeleteJob)
    assert action.pods_first
    decision = decide(world(asked), NOW)
    assert decision.actions == ()
    assert decision.status is not None
    assert decision.status["phase"] == "Suspended"


def test_no_second_pod_is_started_beside_one_that_still_saves_its_checkpoint() -> None:
    asked = training(queueName="maps")
    last = pod(**running())
    waiting = decide(World(installation(), asked, stopping=(last,)), NOW)
    assert waiting.actions == ()
    assert waiting.status is not None
    assert condition(dict(waiting.status), "Scheduled")["reason"] == "Stopping"


def test_other_fields_that_follow_the_spec_still_do() -> None:
    asked = training(queueName="maps", maxRetries=7)
    (action,) = decide(world(asked, in_queue()), NOW).actions
    assert isinstance(action, UpdateJob)
    assert action.spec == {"backoffLimit": 7}


def suspended(asked: Training, mark: str = "", queue: str = "") -> Job:
    """A suspended Job: `mark` is what the operator wrote on it, `queue` where Kueue put it."""
    metadata: dict[str, Any] = {
        "annotations": {MARK: mark} if mark else {},
        "labels": {"kueue.x-k8s.io/queue-name": queue} if queue else {},
    }
    return job(asked, spec={"suspend": True}, metadata=metadata)


def test_a_job_that_kueue_puts_into_a_queue_by_itself_is_queued_and_left_to_it() -> None:
    asked = training()
    decision = decide(world(asked, suspended(asked, "false", queue="default")), NOW)
    assert decision.actions == ()
    assert decision.status is not None
    assert decision.status["phase"] == "Queued"
    told = condition(dict(decision.status), "Scheduled")
    assert told["reason"] == "Queued"
    assert "waits in queue default" in told["message"]


def test_a_job_that_somebody_else_suspends_is_not_started_against_them_and_it_is_told() -> None:
    asked = training()
    decision = decide(world(asked, suspended(asked, "false")), NOW)
    assert decision.actions == ()
    assert decision.status is not None
    status = dict(decision.status)
    assert status["phase"] == "Suspended"
    told = condition(status, "Scheduled")
    assert told["reason"] == "SuspendedByOthers"
    assert "spec.suspend is false" in told["message"]
    assert verdicts(status)["Succeeded"] == "Unknown"
    leaving = status_of(asked, suspended(asked, "false"), pod(**running()))
    assert "waiting for pod garden-x" in condition(leaving, "Scheduled")["message"]


@pytest.mark.parametrize("mark", ["true", ""])
def test_what_the_operator_itself_suspended_it_lets_go_on(mark: str) -> None:
    """The mark is missing on a Job that an operator of before has made."""
    asked = training()
    decision = decide(world(asked, suspended(asked, mark)), NOW)
    (action,) = decision.actions
    assert isinstance(action, UpdateJob)
    assert (action.spec, action.annotations) == ({"suspend": False}, {MARK: "false"})
    assert decision.status is not None
    assert condition(dict(decision.status), "Succeeded")["reason"] == "JobCreated"


def test_whose_suspension_it_is_is_written_on_the_job() -> None:
    for asked, mark in (
        (training(), "false"),
        (training(suspend=True), "true"),
        (training(queueName="maps"), "false"),
    ):
        (action,) = decide(world(asked), NOW).actions
        assert isinstance(action, CreateJob)
        assert action.manifest["metadata"]["annotations"] == {MARK: mark}
    paused = training(suspend=True)
    (update,) = decide(world(paused, job(paused)), NOW).actions
    assert isinstance(update, UpdateJob)
    assert (update.spec, update.annotations) == ({"suspend": True}, {MARK: "true"})
    again = training(maxRetries=7)
    (other,) = decide(world(again, job(again)), NOW).actions
    assert isinstance(other, UpdateJob)
    assert other.annotations == {}


def test_a_suspended_job_that_kueue_took_leaves_its_queue_and_is_not_made_again() -> None:
    asked = training(suspend=True)
    taken = suspended(asked, "true", queue="default")
    (action,) = decide(world(asked, taken), NOW).actions
    assert isinstance(action, DeleteJob)
    told = status_of(asked, taken)
    assert told["phase"] == "Suspended"
    assert decide(world(training(suspend=True, status=told)), NOW).actions == ()
    (made,) = decide(world(training(status=told)), NOW).actions
    assert isinstance(made, CreateJob)
