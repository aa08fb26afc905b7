"""The conditions, from where a training is."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from splat_operator.api import ConditionType, Phase
from splat_operator.decide.decision import Situation
from splat_operator.decide.kernels import kernel_state
from splat_operator.decide.reasons import MEANINGS, Reason
from splat_operator.decide.shown import shown_message, shown_time
from splat_operator.world import Training, World

_PASSED = {
    ConditionType.ACCEPTED: ("Accepted", "the Job is made as the spec asks"),
    ConditionType.SCHEDULED: ("Scheduled", "the pod has a node"),
    ConditionType.RUNNING: ("Training", "the trainer runs"),
}


Verdict = tuple[str, str, str]
"""A condition's status, reason and message."""


def conditions(
    world: World, where: Situation, *, placed: bool, now: datetime
) -> list[dict[str, Any]]:
    """Give all conditions, in order; `placed` is whether any pod has had a node."""
    return [_condition(kind, world, where, placed, now) for kind in ConditionType]


def _condition(
    kind: ConditionType, world: World, where: Situation, placed: bool, now: datetime
) -> dict[str, Any]:
    training = world.training
    if kind is ConditionType.KERNELS_READY:
        status, reason, message = _kernels_verdict(world, where)
    else:
        status, reason, message = _verdict(kind, training, where, placed)
    if kind is ConditionType.ACCEPTED:
        status, reason, message = _with_what_is_wrong(world, (status, reason, message))
    written = training.condition(kind)
    since = written.get("lastTransitionTime") if written.get("status") == status else None
    return {
        "type": kind.value,
        "status": status,
        "reason": reason,
        "message": shown_message(message),
        "lastTransitionTime": since if isinstance(since, str) else shown_time(now),
        "observedGeneration": training.generation,
    }


def _kernels_verdict(world: World, where: Situation) -> Verdict:
    """Say how it stands with the kernels, which is apart from where the training is.

    Once the Job is made, what was well stays so: a node of a new kind, for which kernels are
    compiled now, takes nothing from a training that runs.
    """
    blocked = (where.reason.value, where.message)
    written = _as_written(world.training.condition(ConditionType.KERNELS_READY))
    if MEANINGS[where.reason].holds is ConditionType.KERNELS_READY or (
        where.reason is Reason.KERNELS_NOT_COMPILED and world.job is None
    ):
        return ("False", *blocked)
    spec = world.training.spec
    if spec is None:
        return written or ("False", *blocked)
    state = kernel_state(world)
    begun = world.job or MEANINGS[where.reason].holds is None
    if written and begun and (written[0] == "True" or state.holds):
        return written
    if state.holds and spec.suspend and world.job is None:
        return ("Unknown", *blocked)
    return state.status, state.reason, state.message


def _with_what_is_wrong(world: World, verdict: Verdict) -> Verdict:
    """Tell with Accepted what keeps the operator from doing as the spec asks while it runs on."""
    status, reason, message = verdict
    if status != "True":
        return verdict
    if world.trouble:
        words = f"{world.trouble.reason}: {world.trouble.message}"
        return ("False", Reason.JOB_REFUSED.value, words)
    fault = world.installation.definition_fault
    return (status, reason, f"{message}, but {fault}") if fault else verdict


def _verdict(kind: ConditionType, training: Training, where: Situation, placed: bool) -> Verdict:
    holds = MEANINGS[where.reason].holds
    blocked = (where.reason.value, where.message)
    if holds is None:
        return _verdict_at_the_end(kind, training, where, placed)
    order = list(ConditionType)
    if order.index(kind) < order.index(holds):
        return ("True", *_PASSED[kind])
    return ("Unknown" if kind is ConditionType.SUCCEEDED else "False", *blocked)


def _verdict_at_the_end(
    kind: ConditionType, training: Training, where: Situation, placed: bool
) -> Verdict:
    blocked = (where.reason.value, where.message)
    if kind is ConditionType.SUCCEEDED:
        good = MEANINGS[where.reason].phase is Phase.SUCCEEDED
        return ("True" if good else "False", *blocked)
    if kind is ConditionType.RUNNING:
        return ("False", *blocked)
    if kind is ConditionType.ACCEPTED or placed:
        return ("True", *_PASSED[kind])
    return _as_written(training.condition(kind)) or ("False", *blocked)


def _as_written(written: Mapping[str, Any]) -> Verdict | None:
    if written.get("status") not in ("True", "False"):
        return None
    return str(written["status"]), str(written.get("reason")), str(written.get("message"))
