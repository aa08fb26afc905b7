"""Pods that do not end when they should, and pods that a node never took."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from splat_operator.decide import decide
from splat_operator.world import Pod, World

from .builders import (
    NOW,
    RESULT,
    at,
    condition,
    finished,
    installation,
    job,
    pod,
    raw_pod,
    running,
    status_of,
    terminated,
    training,
    verdicts,
    world,
)

ENDS_BY = 130
"""Seconds after NOW: the end of the grace of a pod that was told to stop."""


def leaving(name: str = "garden-x", **status: Any) -> Pod:
    raw = raw_pod(name, **(status or running()))
    raw["metadata"]["deletionTimestamp"] = at(ENDS_BY)
    return Pod.from_api(raw)


def test_a_pod_that_has_time_left_to_save_its_checkpoint_is_not_lost() -> None:
    asked = training()
    decided = decide(world(asked, job(asked), leaving()), NOW + timedelta(seconds=60))
    assert decided.status is not None
    assert decided.status["phase"] == "Running"
    assert decided.wake_at == NOW + timedelta(seconds=ENDS_BY + 60)


def test_a_pod_whose_node_never_says_that_it_ended_is_told_with_what_to_do() -> None:
    asked = training()
    before = status_of(asked, job(asked), leaving(), seconds=60)
    over = training(status=before)
    decided = decide(world(over, job(over), leaving()), NOW + timedelta(seconds=ENDS_BY + 61))
    assert decided.status is not None
    status = dict(decided.status)
    assert condition(status, "Succeeded")["reason"] == "PodLost"
    assert "node-1" in condition(status, "Succeeded")["message"]
    assert verdicts(status)["Scheduled"] == "True"
    assert verdicts(status)["Running"] == "False"
    assert [event.reason for event in decided.events] == ["PodLost"]
    assert decided.actions == ()  # nothing is started beside what may still be writing


def test_once_it_is_surely_gone_the_training_goes_on() -> None:
    asked = training()
    gone = leaving(**{**running(), "phase": "Failed"})
    told = status_of(asked, job(asked), gone, seconds=ENDS_BY + 500)
    assert condition(told, "Succeeded")["reason"] == "Retrying"


@pytest.mark.parametrize(("suspended", "reason"), [(True, "Suspended"), (False, "PodLost")])
def test_a_lost_pod_of_an_earlier_job_is_named_too(suspended: bool, reason: str) -> None:
    asked = training(suspend=suspended, queueName="maps")
    seen = World(installation(), asked, stopping=(leaving(),))
    waiting = decide(seen, NOW + timedelta(seconds=ENDS_BY))
    assert waiting.wake_at == NOW + timedelta(seconds=ENDS_BY + 60)
    decided = decide(seen, NOW + timedelta(seconds=ENDS_BY + 61))
    assert decided.actions == ()
    assert decided.status is not None
    told = condition(dict(decided.status), "Succeeded")
    assert told["reason"] == reason
    message = told["message"]
    assert "garden-x" in message
    assert "node-1" in message
    assert "should have ended" in message


def test_a_job_that_goes_with_its_pods_and_waits_for_a_lost_one_says_so() -> None:
    asked = training(queueName="maps")
    going = replace(job(asked), deleting=True)
    told = status_of(asked, going, leaving(), seconds=ENDS_BY + 30)
    assert condition(told, "Succeeded")["reason"] == "Stopping"
    told = status_of(asked, going, leaving(), seconds=ENDS_BY + 61)
    assert condition(told, "Succeeded")["reason"] == "PodLost"


def test_a_pod_that_the_node_did_not_take_did_not_crash() -> None:
    asked = training()
    words = "Allocate failed due to no healthy devices present; cannot allocate nvidia.com/gpu"
    refused = pod(phase="Failed", reason="UnexpectedAdmissionError", message=words)
    told = status_of(asked, job(asked), refused)
    assert condition(told, "Succeeded")["reason"] == "Retrying"
    assert (
        "RefusedByNode: UnexpectedAdmissionError: Allocate failed"
        in (condition(told, "Succeeded")["message"])
    )
    over = job(asked, **finished("Failed", "BackoffLimitExceeded"))
    assert condition(status_of(asked, over, refused), "Succeeded")["reason"] == "RefusedByNode"


def test_what_is_changed_after_the_end_is_seen_in_every_condition() -> None:
    """`kubectl wait` passes over a condition whose observedGeneration is behind."""
    asked = training()
    done = job(asked, **finished("Complete"))
    told = status_of(asked, done, pod(**terminated(0, json.dumps(RESULT), "Completed")))
    changed = decide(world(training(status=told, generation=2), done), NOW).status
    assert changed is not None
    assert {one["observedGeneration"] for one in changed["conditions"]} == {2}
    again = training(status=dict(changed), generation=2)
    assert decide(world(again, done), NOW).status is None
