"""Where a training is: the one place where the policies are put in order."""

from dataclasses import replace
from datetime import datetime

from splat_operator.api import ConditionType, SplatTrainingSpec
from splat_operator.decide.deadline import missed_start, start_deadline
from splat_operator.decide.decision import Situation
from splat_operator.decide.ending import ending, failure_of, went_well
from splat_operator.decide.kernels.state import kernel_state
from splat_operator.decide.pod_template import override_fault
from splat_operator.decide.reasons import MEANINGS, Reason
from splat_operator.decide.stopping import counts_as_lost, lost, stopping_words
from splat_operator.decide.waiting import (
    made,
    waiting_for_a_node,
    waiting_for_a_pod,
    waiting_to_start,
)
from splat_operator.world import Job, Pod, Training, World

_KUBELET_ALTERNATES = (Reason.IMAGE_PULL_BACK_OFF, Reason.CONTAINER_CONFIG_ERROR)
"""Reasons under which the kubelet says the same in turn in two ways."""


def situation(world: World, now: datetime) -> Situation | None:
    """Say where a training is; None while a finished Job's pod has not been heard.

    No good end is told of a spec that cannot be read, as after a rollback of the operator: what
    it asks of the splat, and where that lies, is not known. It is told once the spec can be read.
    """
    if world.training.spec is None and went_well(world):
        return _on_the_way(world, now)
    ended = ending(world, now)
    if ended or (world.job and world.job.finished):
        return ended
    waiting = _steadied(world, _on_the_way(world, now))
    wishes = [moment for moment in (waiting.wake_at, start_deadline(world)) if moment]
    return missed_start(world, waiting, now) or replace(waiting, wake_at=min(wishes, default=None))


def _on_the_way(world: World, now: datetime) -> Situation:
    training, job = world.training, world.job
    if training.spec is None:
        return Situation(Reason.INVALID_SPEC, training.spec_error)
    pod = world.pods[-1] if world.pods else None
    if job is None or job.deleting:
        return _without_job(world, pod, now)
    if job.suspend:
        return _suspended(training, training.spec, job, pod, now) or made(training)
    if pod is None:
        return waiting_for_a_pod(world, job, now)
    return _with_a_pod(training, pod, now)


def _with_a_pod(training: Training, pod: Pod, now: datetime) -> Situation:
    if pod.phase == "Failed":
        failure = failure_of(pod)
        return Situation(
            Reason.RETRYING, f"pod {pod.name} failed: {failure.reason}: {failure.message}"
        )
    gone = _lost(pod, now)
    if gone:
        return gone
    where = (
        waiting_for_a_node(training, pod)
        or waiting_to_start(pod)
        or Situation(Reason.TRAINING, f"pod {pod.name} on {pod.node_name}")
    )
    return replace(where, wake_at=counts_as_lost(pod))


def _lost(pod: Pod, now: datetime) -> Situation | None:
    """Say that a pod should have ended; None where it has, need not or has time left."""
    lost_at = counts_as_lost(pod)
    return Situation(Reason.POD_LOST, lost(pod)) if lost_at and now >= lost_at else None


def _suspended(
    training: Training, spec: SplatTrainingSpec, job: Job, pod: Pod | None, now: datetime
) -> Situation | None:
    """Say by whom the Job is held: by the user, the queue or somebody else; None where it is let
    go."""
    queue = job.queue or spec.queue_name
    words, wake_at = "", None
    if pod and not pod.ended:
        words, wake_at = stopping_words(pod, now)
    if spec.suspend:
        held = f"suspended; {words}" if words else "spec.suspend is true"
        return Situation(Reason.SUSPENDED, held, wake_at)
    if queue:
        waits = f"Job {job.name} waits in queue {queue}{_once_more(training)}"
        return Situation(Reason.QUEUED, f"preempted; {words}" if words else waits, wake_at)
    if not job.own_suspend:
        held = f"spec.suspend is false, and somebody else has suspended Job {job.name}"
        return Situation(Reason.SUSPENDED_BY_OTHERS, f"{held}; {words}" if words else held, wake_at)
    return Situation(Reason.SUSPENDED, f"resumed; {words}", wake_at) if words else None


def _once_more(training: Training) -> str:
    """Say of a training that has run before from where it goes on."""
    if not training.status.get("podName"):
        return ""
    step = dict(training.status.get("checkpoint") or {}).get("iteration")
    return f" again, to go on from iteration {step}" if step else " again"


def _without_job(world: World, pod: Pod | None, now: datetime) -> Situation:
    spec, trouble = world.training.spec, world.trouble
    if trouble:
        return Situation(Reason.JOB_REFUSED, f"{trouble.reason}: {trouble.message}")
    fault = override_fault(world)
    if fault:
        return Situation(Reason.INVALID_OVERRIDES, fault)
    stopping = pod if pod and not pod.ended else next(iter(world.stopping), None)
    words, wake_at = stopping_words(stopping, now) if stopping else ("spec.suspend is true", None)
    if spec and spec.suspend:
        return Situation(Reason.SUSPENDED, words, wake_at)
    kernels = kernel_state(world, now).holds if world.job is None else None
    if kernels:
        return kernels
    if stopping:
        return _lost(stopping, now) or Situation(Reason.STOPPING, words, wake_at)
    return made(world.training)


def _steadied(world: World, waiting: Situation) -> Situation:
    """Keep the first of two alternating messages: status need not change every few seconds."""
    if waiting.reason not in _KUBELET_ALTERNATES:
        return waiting
    written = world.training.condition(ConditionType.SUCCEEDED)
    if written.get("reason") == waiting.reason and written.get("message"):
        return replace(waiting, message=str(written["message"]))
    return waiting


def is_end(reason: Reason) -> bool:
    """Whether nothing follows on this reason."""
    return MEANINGS[reason].holds is None
