"""What must be done about the Job."""

from typing import Any

from splat_operator.api import ConditionType
from splat_operator.api.spec import SplatTrainingSpec
from splat_operator.decide.decision import Action, CreateJob, DeleteJob, UpdateJob
from splat_operator.decide.job import job_manifest
from splat_operator.world import Job, Training, World


def actions(world: World) -> tuple[Action, ...]:
    """Give the actions that make the Job what it should be; none where it is."""
    training, job = world.training, world.job
    if training.deleting or training.spec is None:
        return ()
    if training.finished:
        return _after_the_end(training, training.spec, job)
    if job is None:
        return (CreateJob(job_manifest(world.installation, training, training.spec)),)
    if job.deleting or job.finished:
        return ()
    return _update(job, _switches(training.spec, job))


def _after_the_end(
    training: Training, spec: SplatTrainingSpec, job: Job | None
) -> tuple[Action, ...]:
    """A Job that outlives a failure is stopped; one that is done is given its time to live.

    A success is told when the pod has ended, which the Job controller may not have seen yet. The
    time to live is never set before the end is written: a Job that is gone while the status
    does not say so would be made again.
    """
    if job is None or job.deleting:
        return ()
    if not job.finished:
        good = training.condition(ConditionType.SUCCEEDED).get("status") == "True"
        return () if good else (DeleteJob(job.namespace, job.name, job.uid),)
    if job.ttl_seconds_after_finished != spec.ttl_seconds_after_finished:
        return _update(job, {"ttlSecondsAfterFinished": spec.ttl_seconds_after_finished})
    return ()


def _switches(spec: SplatTrainingSpec, job: Job) -> dict[str, Any]:
    """Give the fields that follow the spec while the Job lives."""
    wanted = {
        "suspend": spec.suspend,
        "backoffLimit": spec.max_retries,
        "activeDeadlineSeconds": spec.active_deadline_seconds,
    }
    current = {
        "suspend": job.suspend,
        "backoffLimit": job.backoff_limit,
        "activeDeadlineSeconds": job.active_deadline_seconds,
    }
    return {name: value for name, value in wanted.items() if value != current[name]}


def _update(job: Job, changes: dict[str, Any]) -> tuple[Action, ...]:
    return (UpdateJob(job.namespace, job.name, job.uid, changes),) if changes else ()
