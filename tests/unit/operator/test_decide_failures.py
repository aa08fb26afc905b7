"""How a failed attempt is told, and what waits for a pod's own word."""

from datetime import timedelta
from typing import Any

import pytest

from splat_operator.decide import decide

from .builders import (
    NOW,
    condition,
    failed,
    finished,
    job,
    pod,
    running,
    status_of,
    terminated,
    training,
    world,
)


def test_the_trainers_own_line_and_reason_are_passed_on() -> None:
    asked = training()
    line = "sparse/0/points3D.bin: byte 120: the file ends inside of point 2"
    told = status_of(
        asked,
        job(asked, **finished("Failed", "PodFailurePolicy", "Container trainer ...")),
        pod(**failed("InvalidCapture", line, 65)),
    )
    assert told["phase"] == "Failed"
    assert condition(told, "Succeeded")["status"] == "False"
    assert condition(told, "Succeeded")["reason"] == "InvalidCapture"
    assert condition(told, "Succeeded")["message"] == line


def test_the_progress_that_a_killed_trainer_printed_last_is_no_reason() -> None:
    asked = training(maxRetries=0)
    log = 'training on cuda\n{"stage":"Training","iteration":5001}\n'
    told = status_of(
        asked,
        job(asked, **finished("Failed", "BackoffLimitExceeded", "limit")),
        pod(**terminated(137, log)),
    )
    words = "the trainer ended with exit code 137 (SIGKILL): training on cuda"
    assert condition(told, "Succeeded")["message"] == words


@pytest.mark.parametrize(
    ("ended", "reason", "words"),
    [
        (terminated(137, "", "OOMKilled"), "OOMKilled", "out of memory"),
        (terminated(139, "line one\nSegmentation fault\n"), "TrainerCrashed", "SIGSEGV"),
        (terminated(1, "no such command"), "TrainerCrashed", "no such command"),
        (terminated(1, '{"outcome": "Failed"'), "TrainerCrashed", "exit code 1"),
        (
            {"phase": "Failed", "reason": "Evicted", "message": "low on ephemeral-storage"},
            "Evicted",
            "ephemeral-storage",
        ),
    ],
)
def test_a_death_without_a_word_is_told_from_outside(
    ended: dict[str, Any], reason: str, words: str
) -> None:
    asked = training(maxRetries=0)
    told = status_of(
        asked, job(asked, **finished("Failed", "BackoffLimitExceeded", "limit")), pod(**ended)
    )
    assert condition(told, "Succeeded")["reason"] == reason
    assert words in condition(told, "Succeeded")["message"]


def test_between_two_attempts_the_last_failure_is_told() -> None:
    asked = training()
    told = status_of(asked, job(asked, failed=1), pod(**terminated(137, "", "OOMKilled")))
    assert told["phase"] == "Pending"
    assert condition(told, "Succeeded")["reason"] == "Retrying"
    assert "OOMKilled" in condition(told, "Succeeded")["message"]


def test_attempts_count_pods_that_are_gone() -> None:
    asked = training()
    first = status_of(asked, job(asked), pod("one", 2, **running()))
    second = status_of(training(status=first), job(asked), pod("two", 9, **running()))
    assert (first["attempts"], second["attempts"]) == (1, 2)


def test_a_jobs_end_waits_for_its_pods_word() -> None:
    asked = training()
    done = job(asked, **finished("Complete", seconds=60))
    early = decide(world(asked, done), NOW + timedelta(seconds=61))
    assert early.status is None
    assert early.wake_at == NOW + timedelta(seconds=70)
    late = decide(world(asked, done), early.wake_at)
    assert late.status is not None
    assert late.status["phase"] == "Succeeded"


def test_a_jobs_end_waits_for_the_word_of_its_last_pod_not_of_one_before() -> None:
    asked = training(maxRetries=1)
    first = pod("garden-a", 2, **failed("StorageUnavailable", "timeout", 74))
    last = pod("garden-b", 40, **running())  # its end is still on its way
    own = job(asked, **finished("Failed", "BackoffLimitExceeded", "limit", seconds=60))
    decided = decide(world(asked, own, first, last), NOW + timedelta(seconds=60))
    assert decided.status is None or decided.status["phase"] != "Failed"
    ended = pod("garden-b", 40, **failed("InvalidCapture", "no points", 65))
    told = condition(status_of(asked, own, first, ended), "Succeeded")
    assert told["reason"] == "InvalidCapture"


def test_by_a_clock_that_is_ahead_too_a_pod_that_is_there_is_waited_for() -> None:
    """Which of two watches is first is chance, and the Job's end is told by another's clock."""
    asked = training()
    ended = job(asked, **finished("Failed", "PodFailurePolicy", seconds=60))
    late = NOW + timedelta(seconds=60 + 45)
    decided = decide(world(asked, ended, pod(**running())), late)
    assert decided.status is None
    assert decided.wake_at is not None
    told = status_of(asked, ended, pod(**failed("InvalidCapture", "points3D.bin", 65)), seconds=105)
    assert condition(told, "Succeeded")["reason"] == "InvalidCapture"
    much_later = status_of(asked, ended, pod(**running()), seconds=60 + 301)
    assert condition(much_later, "Succeeded")["reason"] == "JobFailed"
