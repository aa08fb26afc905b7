"""Why a training that has a pod does not run yet, in the words of scheduler and kubelet."""

import re
from dataclasses import replace
from datetime import datetime, timedelta

from splat_operator.decide.decision import Situation
from splat_operator.decide.job_name import job_name
from splat_operator.decide.reasons import Reason
from splat_operator.world import Job, Pod, Training

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


def made(training: Training) -> Situation:
    """Say that the Job is made. One sentence for all that follows within milliseconds, until
    the scheduler has spoken: no status is worth writing in between."""
    return Situation(
        Reason.JOB_CREATED, f"Job {job_name(training)} is made; its pod has no node yet"
    )


def waiting_for_a_pod(training: Training, job: Job, now: datetime) -> Situation:
    """Say that there is no pod; after a while that this is not as it should be.

    Why the Job controller gets no pod stands in the Job's Events only. To read those, the
    operator would have to read all Events of all namespaces.
    """
    if job.started_at is None or training.status.get("podName"):
        return made(training)  # it had one, and another one follows
    late = job.started_at + POD_PATIENCE
    if now < late:
        return replace(made(training), wake_at=late)
    return Situation(
        Reason.POD_NOT_CREATED,
        f"Job {job.name} has got no pod, a quota or a policy may refuse it: "
        f"`kubectl describe job {job.name}` says why",
    )


def waiting_for_a_node(training: Training, pod: Pod) -> Situation | None:
    """Say why the pod has no node; None where it has one."""
    if pod.node_name:
        return None
    if not pod.unscheduled_reason:
        return made(training)
    missing = _MISSING_CLAIM.search(pod.unscheduled_message)
    if missing:
        return Situation(Reason.CLAIM_NOT_FOUND, f"{missing.group()} in this namespace")
    return Situation(Reason.UNSCHEDULABLE, pod.unscheduled_message or pod.unscheduled_reason)


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
