"""The status, whole, from where a training is."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from splat_operator.api import ConditionType
from splat_operator.decide.checkpoint import checkpoint_known
from splat_operator.decide.conditions import conditions
from splat_operator.decide.decision import Event, Situation
from splat_operator.decide.ending import telling_pod
from splat_operator.decide.gpu_seconds import gpu_seconds
from splat_operator.decide.job_name import job_name
from splat_operator.decide.kernels import kernels_used
from splat_operator.decide.outcome import outcome
from splat_operator.decide.progress import at_the_end
from splat_operator.decide.reasons import MEANINGS
from splat_operator.decide.shown import shown_message, shown_time
from splat_operator.world import World
from splat_operator.world.fields import mapping

_KEPT = (
    *("jobName", "podName", "nodeName", "startTime", "result", "outputs", "gpu"),
    *("kernels", "gpuSeconds", "gpuSecondsUntil"),
)
"""What stays written though the world no longer shows it: pods and Jobs come and go."""


def status(world: World, where: Situation, now: datetime, *, has_job: bool) -> dict[str, Any]:
    """Give all of `status` but the progress that the endpoint writes.

    `has_job` is whether the Job is there, or is being made now.
    """
    training, written = world.training, world.training.status
    phase = MEANINGS[where.reason].phase
    placed = any(pod.node_name for pod in world.pods) or bool(written.get("nodeName"))
    whole: dict[str, Any] = {
        "observedGeneration": training.generation,
        "phase": phase.value,
        "conditions": conditions(world, where, placed=placed, now=now),
        **{name: written[name] for name in _KEPT if name in written},
        **_seen(world, has_job),
        **outcome(training.spec, world.pods),
        **gpu_seconds(world),
    }
    checkpoint = checkpoint_known(training, world.pods)
    if checkpoint:
        whole["checkpoint"] = dict(checkpoint)
    kernels = kernels_used(world)
    if kernels:
        whole["kernels"] = kernels
    attempts = _attempts(world)
    if attempts:
        whole["attempts"] = attempts
    if MEANINGS[where.reason].holds is None:
        whole["completionTime"] = _completion_time(world, now)
        pod = telling_pod(world.pods, good=True)
        progress = at_the_end(phase, pod, mapping(written, "progress"))
        if progress:
            whole["progress"] = progress
    return whole


def differs(wanted: Mapping[str, Any], written: Mapping[str, Any]) -> bool:
    """Whether the status must be written; progress counts only where it is wanted."""
    if "progress" in wanted:
        return dict(wanted) != dict(written)
    return dict(wanted) != {name: value for name, value in written.items() if name != "progress"}


def events(world: World, where: Situation) -> tuple[Event, ...]:
    """Give the Event of a change of reason; none where the reason is the one written."""
    meaning = MEANINGS[where.reason]
    if world.training.condition(ConditionType.SUCCEEDED).get("reason") == where.reason:
        return ()
    if not meaning.told:
        return ()
    return (Event(where.reason, shown_message(where.message), meaning.warning),)


def _seen(world: World, has_job: bool) -> dict[str, Any]:
    seen: dict[str, Any] = {}
    if has_job:
        seen["jobName"] = job_name(world.training)
    placed = [pod for pod in world.pods if pod.node_name]
    if placed:
        seen["podName"] = placed[-1].name
        seen["nodeName"] = placed[-1].node_name
    started = [pod.started_at for pod in world.pods if pod.started_at]
    if started and "startTime" not in world.training.status:
        seen["startTime"] = shown_time(min(started))
    return seen


def _attempts(world: World) -> int:
    """Count the pods that got a node, those included that are gone since."""
    placed = [pod.name for pod in world.pods if pod.node_name]
    written = world.training.status.get("attempts")
    before = written if isinstance(written, int) else 0
    known = world.training.status.get("podName")
    if not placed:
        return before
    newer = placed[placed.index(known) + 1 :] if known in placed else placed
    return max(len(placed), before + len(newer))


def _completion_time(world: World, now: datetime) -> str:
    written = world.training.status.get("completionTime")
    if isinstance(written, str):
        return written
    done = telling_pod(world.pods, good=True)
    if done and done.termination and done.termination.finished_at:
        return shown_time(done.termination.finished_at)
    return shown_time((world.job and world.job.finished_at) or now)
