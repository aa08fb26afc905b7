"""The conditions, from where a training is."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from splat_operator.api import ConditionType, Phase
from splat_operator.decide.decision import Situation
from splat_operator.decide.reasons import MEANINGS
from splat_operator.decide.shown import shown_message, shown_time
from splat_operator.world import Training

_PASSED = {
    ConditionType.ACCEPTED: ("Accepted", "the Job is made as the spec asks"),
    ConditionType.SCHEDULED: ("Scheduled", "the pod has a node"),
    ConditionType.RUNNING: ("Training", "the trainer runs"),
}


def conditions(
    training: Training, where: Situation, *, placed: bool, now: datetime
) -> list[dict[str, Any]]:
    """Give all conditions, in order; `placed` is whether any pod has had a node."""
    return [_condition(kind, training, where, placed, now) for kind in ConditionType]


def _condition(
    kind: ConditionType, training: Training, where: Situation, placed: bool, now: datetime
) -> dict[str, Any]:
    status, reason, message = _verdict(kind, training, where, placed)
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


def _verdict(
    kind: ConditionType, training: Training, where: Situation, placed: bool
) -> tuple[str, str, str]:
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
) -> tuple[str, str, str]:
    blocked = (where.reason.value, where.message)
    if kind is ConditionType.SUCCEEDED:
        good = MEANINGS[where.reason].phase is Phase.SUCCEEDED
        return ("True" if good else "False", *blocked)
    if kind is ConditionType.RUNNING:
        return ("False", *blocked)
    if kind is ConditionType.ACCEPTED or placed:
        return ("True", *_PASSED[kind])
    return _as_written(training.condition(kind)) or ("False", *blocked)


def _as_written(written: Mapping[str, Any]) -> tuple[str, str, str] | None:
    if written.get("status") not in ("True", "False"):
        return None
    return str(written["status"]), str(written.get("reason")), str(written.get("message"))
