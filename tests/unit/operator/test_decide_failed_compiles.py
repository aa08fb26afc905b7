"""Kernels that do not get compiled, or are not there any more: what is told and done."""

from dataclasses import replace
from datetime import timedelta

import pytest

from splat_operator.decide import CreateJob, CreateWarmUp, Decision, RedoWarmUp, UpdateJob
from splat_operator.world import Job, Pod, WarmUp
from splat_trainer.contract import ExitCode, KernelsOutcome, Reason

from .builders import at, condition, finished, job, raw_pod, terminated, training
from .warm_ups import built, decided, ended, names, ready, told, warm_up


def test_a_failed_compile_is_told_with_the_end_of_the_compilers_log_and_waited_out() -> None:
    words = "nvcc failed\nline one\nerror: no kernel image for sm_999"
    failed = ended(outcome=KernelsOutcome.FAILED, reason=Reason.KERNELS_NOT_COMPILED, message=words)
    found = warm_up(names(training())[0], failed, **finished("Failed", "PodFailurePolicy"))
    decision = decided(training(), found)
    verdict = ready(decision)
    assert (verdict["status"], verdict["reason"]) == ("False", "CompileFailed")
    assert "nvcc failed" in verdict["message"]
    assert "no kernel image for sm_999" in verdict["message"]
    # The Job goes after a while, and whoever waits has another one made.
    (action,) = decision.actions
    assert isinstance(action, UpdateJob)
    assert action.spec == {"ttlSecondsAfterFinished": 600}
    assert [type(one) for one in decided(training()).actions] == [CreateWarmUp]


@pytest.mark.parametrize(
    ("waited", "pause"), [(60, 600), (600, 600), (1500, 1500), (4000, 4000), (90_000, 7200)]
)
def test_pauses_after_failed_compiles_grow_with_the_wait_up_to_two_hours(
    waited: int, pause: int
) -> None:
    since = {"type": "KernelsReady", "status": "False", "lastTransitionTime": at(0)}
    waits = training(status={"conditions": [since]})
    (name,) = names(waits)
    found = warm_up(name, **finished("Failed", "BackoffLimitExceeded", seconds=waited))
    (action,) = decided(waits, found).actions
    assert isinstance(action, UpdateJob)
    assert action.spec == {"ttlSecondsAfterFinished": pause}


def test_a_failed_compile_that_has_its_pause_keeps_it_and_tells_when_it_is_over() -> None:
    found = warm_up(names(training())[0], **finished("Failed", "BackoffLimitExceeded"))
    paused = replace(found, job=replace(found.job, ttl_seconds_after_finished=1500))
    decision = decided(training(), paused)
    assert decision.actions == ()
    assert paused.job.finished_at is not None
    then = paused.job.finished_at + timedelta(seconds=1500)
    assert ready(decision)["message"].endswith(f"; tried again at {then:%H:%M} UTC")


def test_on_a_failed_compile_the_policy_decides() -> None:
    def after(policy: str) -> Decision:
        asked = training(kernelCache={"claimName": "kernels", "onMiss": policy})
        found = warm_up(names(asked)[0], **finished("Failed", "BackoffLimitExceeded"))
        return decided(asked, found)

    def environment(decision: Decision) -> dict[str, str]:
        (made,) = [action for action in decision.actions if isinstance(action, CreateJob)]
        (container,) = made.manifest["spec"]["template"]["spec"]["containers"]
        return {one["name"]: one.get("value", "") for one in container["env"]}

    in_pod = after("CompileInPod")
    assert environment(in_pod)["SPLAT_KERNELS_ON_MISS"] == "compile"
    assert ready(in_pod)["reason"] == "CompileFailed"
    over = after("Fail")
    assert over.status is not None
    assert over.status["phase"] == "Failed"
    assert condition(dict(over.status), "Succeeded")["reason"] == "KernelsNotCompiled"
    assert not any(isinstance(action, CreateJob) for action in after("Build").actions)


def test_the_policy_to_fail_is_told_of_the_kernels_too() -> None:
    asked = training(kernelCache={"claimName": "kernels", "onMiss": "Fail"})
    asked = replace(asked, status=told(decided(asked)))
    failed = warm_up(names(asked)[0], **finished("Failed", "BackoffLimitExceeded"))
    ended_so = condition(told(decided(asked, failed)), "KernelsReady")
    assert (ended_so["status"], ended_so["reason"]) == ("False", "KernelsNotCompiled")


def test_a_pod_that_compiles_and_gets_no_node_is_told_in_the_schedulers_words() -> None:
    stuck = Pod.from_api(
        raw_pod(
            "kernels-x",
            node="",
            conditions=[
                {
                    "type": "PodScheduled",
                    "status": "False",
                    "reason": "Unschedulable",
                    "message": "0/1 nodes are available: 1 Insufficient memory.",
                }
            ],
        )
    )
    decision = decided(training(), warm_up(names(training())[0], stuck))
    assert ready(decision)["reason"] == "KernelsBlocked"
    assert "Insufficient memory" in ready(decision)["message"]


@pytest.mark.parametrize(
    ("labels", "words"),
    [({}, "suspended"), ({"kueue.x-k8s.io/queue-name": "default"}, "queue default")],
)
def test_a_job_that_compiles_and_that_somebody_has_suspended_is_told(
    labels: dict[str, str], words: str
) -> None:
    (name,) = names(training())
    raw = {
        "metadata": {"namespace": "gardens", "name": name, "uid": "u", "labels": labels},
        "spec": {"suspend": True},
        "status": {},
    }
    verdict = ready(decided(training(), WarmUp(Job.from_api(raw))))
    assert verdict["reason"] == "KernelsBlocked"
    assert name in verdict["message"]
    assert words in verdict["message"]


def refused(started: float) -> Pod:
    """A pod that compiled for itself, as what it found in the cache was damaged."""
    result = (
        '{"outcome":"Succeeded","exitCode":0,"reason":"Trained","message":"done",'
        '"kernels":{"source":"Compiled","seconds":200.0,"refused":"sha256 differs"}}'
    )
    raw = raw_pod("garden-x", **terminated(0, result))
    raw["status"]["containerStatuses"][0]["state"]["terminated"]["startedAt"] = at(started)
    return Pod.from_api(raw)


def test_a_damaged_cache_is_filled_again_once() -> None:
    asked = training()
    done = warm_up(names(asked)[0], built(), **finished("Complete", seconds=60))
    (action,) = decided(asked, done, refused(70), own=job(asked)).actions
    assert isinstance(action, RedoWarmUp)
    assert action.uid == "warm-up-1"
    # The one that was made instead ended after that pod had started.
    again = warm_up(names(asked)[0], built(), **finished("Complete", seconds=80))
    assert decided(asked, again, refused(70), own=job(asked)).actions == ()


def test_kernels_that_another_job_has_deleted_since_are_compiled_again_first() -> None:
    asked = training()
    done = warm_up(names(asked)[0], built(), **finished("Complete", seconds=3))
    decision = decided(asked, replace(done, collected=True))
    (action,) = decision.actions
    assert isinstance(action, RedoWarmUp)
    assert decision.status is not None
    assert decision.status["phase"] == "PreparingKernels"
    assert ready(decision)["reason"] == "Compiling"


def test_a_compiler_that_fails_is_not_tried_thrice_in_a_row() -> None:
    (action,) = decided(training()).actions
    assert isinstance(action, CreateWarmUp)
    rule = action.manifest["spec"]["podFailurePolicy"]["rules"][0]
    assert rule["action"] == "FailJob"
    assert ExitCode.CONFIG.value in rule["onExitCodes"]["values"]
