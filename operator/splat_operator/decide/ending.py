"""How a training ended, from what its Job and its last pod say."""

import contextlib
import signal
from datetime import datetime, timedelta

from splat_operator.decide.decision import Situation
from splat_operator.decide.quality import below_gate
from splat_operator.decide.reasons import Reason
from splat_operator.world import Job, Pod, World, parse_result
from splat_trainer.contract import Outcome, ResultDocument

PATIENCE = timedelta(seconds=10)
"""How long a finished Job waits to be told of until its pod's end is seen: two watches bring
them, and either may be first."""

_PATIENCE_WITH_A_POD = timedelta(minutes=5)
"""The same where the pod is still seen at work: its end is surely on the way, and the clock by
which the Job's was told need not be ours."""

_DEADLINE = "DeadlineExceeded"
_FIRST_SIGNAL_EXIT = 128


def ending(world: World, now: datetime) -> Situation | None:
    """Say how the training ended; None where it has not, or the pod's word may still come."""
    job = world.job
    if job is None:
        return None
    done = telling_pod(world.pods, good=True)
    if done:
        # The Job controller will say so within a second or two; nothing can come between.
        return _good_end(world, done)
    if not job.finished:
        return None
    if job.failure_reason == _DEADLINE:
        limit = job.active_deadline_seconds
        return Situation(
            Reason.DEADLINE_EXCEEDED, f"not done within activeDeadlineSeconds ({limit} s)"
        )
    failed = telling_pod(world.pods, good=False)
    # A failed pod may be that of an earlier attempt: the last one's end is on its way.
    last_told = failed is not None and world.pods[-1].ended
    if (job.complete or not last_told) and now < word_expected_by(world, now):
        return None
    return _good_end(world, None) if job.complete else _bad_end(job, failed, len(world.pods))


def went_well(world: World) -> bool:
    """Whether the training is done, by the Job's word or by a pod's."""
    if world.job is None:
        return False
    return world.job.complete or telling_pod(world.pods, good=True) is not None


def word_expected_by(world: World, now: datetime) -> datetime:
    """Until when the pod's word on a finished Job is waited for."""
    if world.job is None or world.job.finished_at is None:
        return now
    there = any(not pod.ended for pod in world.pods)
    return world.job.finished_at + (_PATIENCE_WITH_A_POD if there else PATIENCE)


def telling_pod(pods: tuple[Pod, ...], *, good: bool) -> Pod | None:
    """Find the newest pod whose end fits the Job's."""
    wanted = "Succeeded" if good else "Failed"
    return next((pod for pod in reversed(pods) if pod.phase == wanted), None)


def result_of(pod: Pod | None) -> ResultDocument | None:
    """Give the result document that the trainer left; None where it left none."""
    if pod is None or pod.termination is None:
        return None
    return parse_result(pod.termination.message)


def failure_of(pod: Pod) -> Situation:
    """Say why a pod failed."""
    ended, result = pod.termination, result_of(pod)
    if result and result.outcome is not Outcome.SUCCEEDED:
        return Situation(Reason(result.reason.value), result.message)
    if ended and ended.reason == "OOMKilled":
        return Situation(Reason.OOM_KILLED, "the kernel killed the trainer: out of memory")
    if pod.reason == "Evicted" or pod.disruption:
        why = pod.message or pod.disruption or pod.reason
        return Situation(Reason.EVICTED, f"the pod was put out: {why}")
    if ended:
        return Situation(Reason.CRASHED, _how_it_crashed(ended.exit_code, ended.message))
    if pod.reason and not pod.started_at:
        return Situation(Reason.REFUSED_BY_NODE, f"{pod.reason}: {pod.message}".removesuffix(": "))
    return Situation(Reason.CRASHED, pod.message or pod.reason or "the pod failed")


def _good_end(world: World, pod: Pod | None) -> Situation:
    result = result_of(pod)
    if result is None:
        return Situation(Reason.TRAINED, "done; the trainer left no result document")
    spec = world.training.spec
    if spec and spec.quality_gate and below_gate(spec.quality_gate, result):
        measured = "none" if result.psnr is None else f"{result.psnr:.2f} dB"
        return Situation(
            Reason.QUALITY_GATE_FAILED,
            f"PSNR is {measured}, qualityGate.minPsnr {spec.quality_gate.min_psnr} dB",
        )
    return Situation(Reason.TRAINED, result.message)


def _bad_end(job: Job, pod: Pod | None, attempts: int) -> Situation:
    if pod is None:
        return Situation(Reason.JOB_FAILED, f"{job.failure_reason}: {job.failure_message}")
    failure = failure_of(pod)
    if job.failure_reason == "BackoffLimitExceeded" and attempts > 1:
        return Situation(failure.reason, f"{failure.message} (attempt {attempts}, the last)")
    return failure


def _how_it_crashed(exit_code: int | None, log_end: str) -> str:
    how = f"exit code {exit_code}"
    if exit_code and exit_code > _FIRST_SIGNAL_EXIT:
        with contextlib.suppress(ValueError):
            how += f" ({signal.Signals(exit_code - _FIRST_SIGNAL_EXIT).name})"
    # A trainer that was killed leaves its progress as the last line, which says nothing of why.
    lines = [line.strip() for line in log_end.splitlines() if not line.lstrip().startswith("{")]
    last = next(filter(None, reversed(lines)), "")
    return f"the trainer ended with {how}" + (f": {last}" if last else "")
