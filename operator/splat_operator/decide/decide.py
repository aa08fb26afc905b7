"""The decision: the observed world in, what to do and what to tell out."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from splat_operator.decide.actions import actions
from splat_operator.decide.decision import CreateJob, Decision
from splat_operator.decide.ending import word_expected_by
from splat_operator.decide.gpu_seconds import gpu_seconds
from splat_operator.decide.situation import situation
from splat_operator.decide.status import differs, events, status
from splat_operator.world import Training, World
from splat_operator.world.fields import mappings


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
        return Decision(wake_at=word_expected_by(world, now))
    steps = actions(world)
    has_job = not world.trouble and (
        world.job is not None or any(isinstance(step, CreateJob) for step in steps)
    )
    wanted = status(world, where, now, has_job=has_job)
    if not differs(wanted, training.status):
        return Decision(actions=steps, wake_at=where.wake_at)
    return Decision(
        actions=steps,
        # GPU time of a pod that runs on is no reason to write, but is told when there is one.
        status={**wanted, **gpu_seconds(world, now)},
        events=events(world, where),
        wake_at=where.wake_at,
    )


def _seen_again(training: Training) -> Mapping[str, Any] | None:
    """After the end nothing is told anew but that a changed spec was seen."""
    written, seen = training.status, {"observedGeneration": training.generation}
    if written.get("observedGeneration") == training.generation:
        return None
    # `kubectl wait` takes no word from a condition that is about an earlier generation.
    told = [{**one, **seen} for one in mappings(written.get("conditions"))]
    return {**written, **seen, "conditions": told}
