"""When waiting for the trainer to start comes to an end."""

from datetime import datetime, timedelta

from splat_operator.decide.decision import Situation
from splat_operator.decide.reasons import Reason
from splat_operator.world import World


def start_deadline(world: World) -> datetime | None:
    """Give when the trainer must have started; None where nothing is asked or it has."""
    job, spec = world.job, world.training.spec
    if job is None or spec is None or spec.start_deadline_seconds is None or spec.suspend:
        return None
    if job.started_at is None or job.suspend or job.finished:
        return None
    if world.training.status.get("startTime") or any(pod.started_at for pod in world.pods):
        return None
    return job.started_at + timedelta(seconds=spec.start_deadline_seconds)


def missed_start(world: World, waiting: Situation, now: datetime) -> Situation | None:
    """Say that the start deadline has passed, and what was waited for."""
    deadline = start_deadline(world)
    if deadline is None or now < deadline:
        return None
    spec = world.training.spec
    seconds = spec.start_deadline_seconds if spec else None
    return Situation(
        Reason.START_DEADLINE_EXCEEDED,
        f"not started within startDeadlineSeconds ({seconds} s): "
        f"{waiting.reason}: {waiting.message}",
    )
