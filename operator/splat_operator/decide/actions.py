"""What must be done about the Job, and about the Jobs that compile its kernels."""

from typing import Any

from splat_operator.api import ConditionType
from splat_operator.api.spec import SplatTrainingSpec
from splat_operator.decide.decision import Action, CreateJob, DeleteJob, UpdateJob
from splat_operator.decide.job import job_manifest, suspended_by_us
from splat_operator.decide.kernels import kernel_state, warm_up_actions
from splat_operator.decide.pod_template import override_fault
from splat_operator.decide.reasons import Reason
from splat_operator.world import Job, World


def actions(world: World) -> tuple[Action, ...]:
    """Give the actions that make the Job what it should be; none where it is."""
    training, job = world.training, world.job
    if training.deleting or training.spec is None:
        return ()
    if training.finished:
        return _after_the_end(world, training.spec, job)
    if job is None:
        return _before_the_job(world, training.spec)
    if job.deleting or job.finished:
        return warm_up_actions(world)
    return (*_while_it_lives(training.spec, job), *warm_up_actions(world))


def _before_the_job(world: World, spec: SplatTrainingSpec) -> tuple[Action, ...]:
    """Have the kernels compiled first: no GPU is asked for while a compiler runs.

    A Job that was suspended and is gone is not made again before the user resumes: it may have
    been taken out of a queue into which Kueue puts every Job.
    """
    if override_fault(world):
        return ()
    kernels = kernel_state(world).holds
    if spec.suspend and (kernels or spec.queue_name or world.training.status.get("jobName")):
        return ()
    prepare = warm_up_actions(world)
    if kernels or world.stopping:
        return prepare
    return (CreateJob(job_manifest(world.installation, world.training, spec)), *prepare)


def _after_the_end(world: World, spec: SplatTrainingSpec, job: Job | None) -> tuple[Action, ...]:
    """A Job that outlives a failure is stopped; one that is done is given its time to live.

    A success, and a splat that is not good enough, is told when the pod has ended, which the Job
    controller may not have seen yet: that Job is done, and stays with its pod and its log, unless
    it would train again. The time to live is never set before the end is written: a Job that is
    gone while the status does not say so would be made again.
    """
    if job is None or job.deleting:
        return ()
    if not job.finished:
        told = world.training.condition(ConditionType.SUCCEEDED)
        done = told.get("status") == "True" or told.get("reason") == Reason.QUALITY_GATE_FAILED
        if done and not _trains_again(world, job):
            return ()
        return (DeleteJob(job.namespace, job.name, job.uid),)
    if job.ttl_seconds_after_finished != spec.ttl_seconds_after_finished:
        return _update(job, {"ttlSecondsAfterFinished": spec.ttl_seconds_after_finished})
    return ()


def _trains_again(world: World, job: Job) -> bool:
    """Whether the Job controller has not counted the pod that is done, and has or will have more.

    Of a Job that is suspended it deletes the pods uncounted, those that end well meanwhile too.
    """
    told = world.training.status.get("podName")
    if any(not pod.ended and pod.name != told for pod in world.pods):
        return True
    counts = any(pod.phase == "Succeeded" and not pod.deleting for pod in world.pods)
    return job.suspend and not counts


def _while_it_lives(spec: SplatTrainingSpec, job: Job) -> tuple[Action, ...]:
    """Let the Job follow the spec.

    Whether a Job in a queue is suspended is Kueue's, which would start one again that we suspend:
    so the user's `suspend` takes it out of the queue. It goes when its pod has saved its
    checkpoint, and another one is put into the queue when the user resumes. What else somebody
    has suspended is theirs to let start: they would only suspend it again.
    """
    queued = bool(spec.queue_name or job.queue)
    if queued and spec.suspend:
        return (DeleteJob(job.namespace, job.name, job.uid, pods_first=True),)
    theirs = queued or (job.suspend and not job.own_suspend)
    wanted: dict[str, Any] = {
        "suspend": job.suspend if theirs else spec.suspend,
        "backoffLimit": spec.max_retries,
        "activeDeadlineSeconds": spec.active_deadline_seconds,
    }
    current = {
        "suspend": job.suspend,
        "backoffLimit": job.backoff_limit,
        "activeDeadlineSeconds": job.active_deadline_seconds,
    }
    changes = {name: value for name, value in wanted.items() if value != current[name]}
    return _update(job, changes)


def _update(job: Job, changes: dict[str, Any]) -> tuple[Action, ...]:
    if not changes:
        return ()
    told = suspended_by_us(changes["suspend"]) if "suspend" in changes else {}
    return (UpdateJob(job.namespace, job.name, job.uid, changes, told),)
