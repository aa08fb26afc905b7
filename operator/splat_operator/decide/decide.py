"""The decision: the observed world in, what to do and what to tell out."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from splat_operator.decide.actions import actions
from splat_operator.decide.decision import Decision
from splat_operator.decide.ending import word_expected_by
from splat_operator.decide.situation import situation
from splat_operator.decide.status import differs, events, status
from splat_operator.world import Training, World


def decide(world: World, now: datetime) -> Decision:
    """Decide about one training. Deciding again on the world that results gives nothing to do.

    `now` is in UTC. An end that is written is never taken back, whatever the world shows later.
    """
    training = world.training
    if training.deleting:
        return Decision()
    if training.finished:
        return Decision(actions=actions(world), status=_seen_again(training))
    where = situation(world, now)
    if where is None:
        wake_at = word_expected_by(world.job, now) if world.job else None
        return Decision(wake_at=wake_at)
    wanted = status(world, where, now)
    if not differs(wanted, training.status):
        return Decision(actions=actions(world), wake_at=where.wake_at)
    return Decision(
        actions=actions(world),
        status=wanted,
        events=events(world, where),
        wake_at=where.wake_at,
    )


def _seen_again(training: Training) -> Mapping[str, Any] | None:
    """After the end nothing is told anew but that a changed spec was seen."""
    written = training.status
    if written.get("observedGeneration") == training.generation:
        return None
    return {**written, "observedGeneration": training.generation}
