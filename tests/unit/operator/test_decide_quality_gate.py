"""What a status tells of a training that has a quality to reach."""

import json
from datetime import timedelta

import pytest

from splat_operator.decide import decide

from .builders import (
    NOW,
    RESULT,
    condition,
    finished,
    job,
    pod,
    status_of,
    terminated,
    training,
    world,
)


def test_a_training_below_its_quality_gate_has_failed_and_keeps_its_outputs() -> None:
    asked = training(qualityGate={"minPsnr": 28})
    done = job(asked, **finished("Complete"))
    told = status_of(asked, done, pod(**terminated(0, json.dumps(RESULT), "Completed")))
    assert told["phase"] == "Failed"
    assert condition(told, "Succeeded")["reason"] == "QualityGateFailed"
    assert told["result"]["qualityGate"] == "Failed"
    assert told["outputs"]


def test_a_training_below_its_quality_gate_keeps_its_job_its_pod_and_its_log() -> None:
    """The Job controller may not have seen yet that the pod has ended well."""
    asked = training(qualityGate={"minPsnr": 28})
    own = job(asked)
    done = pod(**terminated(0, json.dumps(RESULT), "Completed"))
    told = training(qualityGate={"minPsnr": 28}, status=status_of(asked, own, done))
    assert condition(dict(told.status), "Succeeded")["reason"] == "QualityGateFailed"
    assert decide(world(told, own, done), NOW + timedelta(seconds=100)).actions == ()


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_a_quality_that_is_no_number_does_not_reach_the_gate(number: str) -> None:
    asked = training(qualityGate={"minPsnr": 28})
    document = json.dumps(RESULT).replace("27.4567", number)
    told = status_of(asked, job(asked), pod(**terminated(0, document, "Completed")))
    assert condition(told, "Succeeded")["reason"] == "QualityGateFailed"
    assert "PSNR is none" in condition(told, "Succeeded")["message"]
    assert "psnr" not in told["result"]


def test_a_training_that_reaches_its_quality_gate_passes() -> None:
    asked = training(qualityGate={"minPsnr": "27.46"})
    done = job(asked, **finished("Complete"))
    told = status_of(asked, done, pod(**terminated(0, json.dumps(RESULT), "Completed")))
    assert told["phase"] == "Succeeded"
    assert told["result"]["qualityGate"] == "Passed"
