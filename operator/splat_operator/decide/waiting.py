"""Why a training that has a pod does not run yet, in the words of scheduler and kubelet."""

import re
from dataclasses import replace
from datetime import datetime, timedelta

from splat_operator.decide.decision import Situation
from splat_operator.decide.job_name import job_name
from splat_operator.decide.reasons import Reason
from splat_operator.world import Job, Pod, Training, World

# Reasons of a waiting container, from kubelet's pkg/kubelet/images/types.go and
# pkg/kubelet/kuberuntime/kuberuntime_container.go.
_PULL_REASONS = (
    "ErrImagePull",
    "ImagePullBackOff",
    "ErrImageNeverPull",
    "InvalidImageName",
    "ImageInspectError",
    "RegistryUnavailable",
    "SignatureValidationFailed",
)
_CONFIG_REASONS = ("CreateContainerConfigError",)
_START_REASONS = ("CreateContainerError", "RunContainerError", "PreStartHookError")

POD_PATIENCE = timedelta(seconds=20)
"""How long a Job may be without its first pod before that is told as a trouble."""

_MISSING_CLAIM = re.compile(r'persistentvolumeclaim "[^"]*" not found')
_MISSING_SECRET = re.compile(r'secret "[^"]*" not found|find key .* in Secret')


def missing_claim(pod: Pod) -> Situation | None:
    """Say which claim keeps the pod from getting a node; None where none does."""
    missing = None if pod.node_name else _MISSING_CLAIM.search(pod.unscheduled_message)
    return missing and Situation(Reason.CLAIM_NOT_FOUND, f"{missing.group()} in this namespace")


def made(training: Training) -> Situation:
    """Say that the Job is made. One sentence for all that follows within milliseconds, until
    the scheduler has spoken: no status is worth writing in between."""
    return Situation(
        Reason.JOB_CREATED, f"Job {job_name(training)} is made; its pod has no node yet"
    )


def patience_ends(job: Job | None, pods: tuple[Pod, ...]) -> datetime | None:
    """Until when it is nothing that a Job has no first pod yet; None where it needs none."""
    if job is None or job.suspend or job.finished or job.deleting or pods:
        return None
    return job.started_at and job.started_at + POD_PATIENCE


def podless_job(world: World, now: datetime) -> Job | None:
    """Give the Job that has been without its first pod for too long; None where none is.

    Why it gets none the Job controller tells in an Event and nowhere else: that one is read then,
    as nobody watches all Events of all namespaces.
    """
    candidates: list[tuple[Job | None, tuple[Pod, ...]]] = [
        (one.job, one.pods) for one in world.kernels.warm_ups.values()
    ]
    if not world.training.status.get("podName"):
        candidates.append((world.job, world.pods))
    for job, pods in candidates:
        late = patience_ends(job, pods)
        if late and now >= late:
            return job
    return None


def waiting_for_a_pod(world: World, job: Job, now: datetime) -> Situation:
    """Say that there is no pod; after a while that this is not as it should be."""
    training = world.training
    late = patience_ends(job, world.pods)
    if late is None or training.status.get("podName"):
        return made(training)  # it had one, and another one follows
    if now < late:
        return replace(made(training), wake_at=late)
    return Situation(Reason.POD_NOT_CREATED, no_pod(world, job))


def no_pod(world: World, job: Job) -> str:
    """Say why a Job gets no pod, as far as that is known."""
    words = world.job_words or (
        f"a quota or a policy may refuse it: `kubectl describe job {job.name}` says why"
    )
    return f"Job {job.name} has got no pod: {words}"


def waiting_for_a_node(training: Training, pod: Pod) -> Situation | None:
    """Say why the pod has no node; None where it has one."""
    if pod.node_name:
        return None
    if not pod.unscheduled_reason:
        return made(training)
    return missing_claim(pod) or Situation(
        Reason.UNSCHEDULABLE, pod.unscheduled_message or pod.unscheduled_reason
    )


def waiting_to_start(pod: Pod) -> Situation | None:
    """Say why the trainer has not started on its node; None where it has."""
    if pod.running or pod.termination or pod.ended:
        return None
    words = f"{pod.waiting_reason}: {pod.waiting_message}".removesuffix(": ")
    if pod.waiting_reason in _PULL_REASONS:
        return Situation(Reason.IMAGE_PULL_BACK_OFF, words)
    if pod.waiting_reason in _CONFIG_REASONS:
        if _MISSING_SECRET.search(pod.waiting_message):
            return Situation(Reason.SECRET_NOT_FOUND, pod.waiting_message)
        return Situation(Reason.CONTAINER_CONFIG_ERROR, words)
    if pod.waiting_reason in _START_REASONS:
        return Situation(Reason.CONTAINER_START_ERROR, words)
    return Situation(Reason.STARTING, f"starting on {pod.node_name}")
