"""The condition KernelsReady, and whether a training must wait for its kernels."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from splat_operator.decide.decision import Situation
from splat_operator.decide.ending import failure_of
from splat_operator.decide.kernels.plan import KernelPlan, KernelSource, WarmUpPlan, kernel_plan
from splat_operator.decide.kernels.warm_up_job import has_its_pause
from splat_operator.decide.reasons import Reason
from splat_operator.decide.waiting import (
    missing_claim,
    no_pod,
    patience_ends,
    waiting_to_start,
)
from splat_operator.world import Job, Pod, WarmUp, World
from splat_trainer.contract import KernelsOutcome

_LOG_LENGTH = 800

KERNEL_REASONS = {
    "Compiled": "True: the kernels are in the cache; the message has their key.",
    "InImage": "True: the image has them (`kernelCache.source: Image`).",
    "NotNeeded": "True: a training on the CPU needs none.",
    "NoCache": "Unknown: no cache is set; the pod compiles them when it starts, unless its image "
    "has them.",
    "ArchitecturesUnknown": "False: nothing tells for which GPUs to compile, neither the spec, nor "
    "the operator's setting, nor labels of nodes. Not waited for: the pod compiles for itself.",
    "CompileFailed": "False: compiling failed; with `onMiss: CompileInPod` not waited for.",
}
"""Reasons of KernelsReady where the training does not wait: when each is given."""


@dataclass(frozen=True)
class KernelState:
    """What KernelsReady says; `holds` is where a training without a Job then is, if it waits."""

    status: str
    reason: str
    message: str
    holds: Situation | None = None


def kernel_state(world: World, now: datetime | None = None) -> KernelState:
    """Say how it stands with the kernels of a training; without `now` nothing is too late."""
    plan = kernel_plan(world.installation, world.training, world.kernels.nodes)
    if plan.source is KernelSource.NOT_NEEDED:
        return KernelState("True", "NotNeeded", "a training on the CPU needs no kernels")
    if plan.source is KernelSource.IMAGE:
        return KernelState("True", "InImage", "the kernels are in the image")
    if plan.source is KernelSource.NOWHERE:
        return KernelState(
            "Unknown",
            "NoCache",
            "no kernel cache is set: the pod compiles its kernels when it starts",
        )
    if not plan.warm_ups:
        return KernelState(
            "False",
            "ArchitecturesUnknown",
            "no node has the labels nvidia.com/gpu.compute.major and .minor: set "
            "kernelCache.architectures; the pod compiles for itself what the cache does not hold",
        )
    return _of_cache(world, plan, now)


def _of_cache(world: World, plan: KernelPlan, now: datetime | None) -> KernelState:
    seen = [(one, world.kernels.warm_ups.get(one.name)) for one in plan.warm_ups]
    failed = [(one, job) for one, job in seen if job and job.job.failure_reason]
    if failed:
        return _failed(plan, *failed[0])
    compiling = [
        (one, job) for one, job in seen if not (job and job.job.complete and not job.collected)
    ]
    if compiling:
        rest = f" ({len(compiling)} of {len(seen)} nodes are left)" if len(seen) > 1 else ""
        return _compiling(world, plan, *compiling[0], rest, now)
    first = seen[0][1]
    return KernelState("True", "Compiled", _compiled(plan, first) if first else "")


def _compiled(plan: KernelPlan, warm_up: WarmUp) -> str:
    document = warm_up.document
    key = f" as {document.key}" if document and document.key else ""
    words = f"compiled for {_listed(plan)}, in {plan.shown}{key}"
    if set(warm_up.access_modes) <= {"ReadWriteOnce"} and warm_up.access_modes:
        words += "; it is ReadWriteOnce: all trainings that mount it run on one node"
    elif set(warm_up.access_modes) <= {"ReadWriteOncePod"} and warm_up.access_modes:
        words += "; it is ReadWriteOncePod: one training at a time can mount it"
    return words


def _listed(plan: KernelPlan) -> str:
    return " ".join(sorted({one for job in plan.warm_ups for one in job.architectures}))


def _compiling(
    world: World,
    plan: KernelPlan,
    one: WarmUpPlan,
    warm_up: WarmUp | None,
    rest: str,
    now: datetime | None,
) -> KernelState:
    pod = warm_up.pods[-1] if warm_up and warm_up.pods else None
    missing = missing_claim(pod) if pod else None
    if missing:
        return _held(missing.reason, missing.message)
    late = patience_ends(warm_up.job, warm_up.pods) if warm_up else None
    blocked = _blocked(pod) if pod else ""
    if warm_up and warm_up.job.suspend:
        blocked = _suspended(warm_up.job)
    if warm_up and late and now and now >= late:
        blocked, late = no_pod(world, warm_up.job), None
    if blocked:
        return _held(Reason.KERNELS_BLOCKED, f"Job {one.name} cannot start: {blocked}")
    words = f"Job {one.name} compiles for {' '.join(one.architectures)} into {plan.shown}{rest}"
    return _held(Reason.COMPILING, words, late)


def _suspended(job: Job) -> str:
    """Say who keeps a Job from starting that the operator never suspends."""
    return f"it waits in queue {job.queue}" if job.queue else "somebody has suspended it"


def _blocked(pod: Pod) -> str:
    """Say what keeps the pod from starting; empty where nothing does."""
    if pod.ended:
        return ""
    if pod.unscheduled_reason and not pod.node_name:
        return pod.unscheduled_message or pod.unscheduled_reason
    waits = waiting_to_start(pod)
    if waits is None or waits.reason is Reason.STARTING or not pod.node_name:
        return ""
    return f"{waits.reason}: {waits.message}"


def _failed(plan: KernelPlan, one: WarmUpPlan, warm_up: WarmUp) -> KernelState:
    words = f"Job {one.name} failed: {_why(warm_up)}"
    if plan.on_miss == "CompileInPod":
        return KernelState("False", "CompileFailed", f"{words}; the pod compiles for itself")
    if plan.on_miss == "Fail":
        end = Situation(Reason.KERNELS_NOT_COMPILED, words)
        return KernelState("False", end.reason.value, words, end)
    return _held(Reason.COMPILE_FAILED, words + _again(warm_up.job))


def _again(job: Job) -> str:
    """Say when it is tried again, once that is known."""
    if job.finished_at is None or not has_its_pause(job):
        return ""
    then = job.finished_at + timedelta(seconds=job.ttl_seconds_after_finished or 0)
    return f"; tried again at {then:%H:%M} UTC"


def _why(warm_up: WarmUp) -> str:
    """Say why compiling failed: the first line, and of the compiler's log the end."""
    document = warm_up.document
    if document and document.outcome is KernelsOutcome.FAILED and document.message:
        first, _, log = document.message.partition("\n")
        flat = " ".join(log.split())
        end = flat if len(flat) <= _LOG_LENGTH else "…" + flat[-_LOG_LENGTH:]
        return f"{first}: {end}" if end else first
    ended = [pod for pod in warm_up.pods if pod.phase == "Failed"]
    if ended:
        failure = failure_of(ended[-1])
        return f"{failure.reason}: {failure.message}"
    return f"{warm_up.job.failure_reason}: {warm_up.job.failure_message}"


def _held(reason: Reason, message: str, wake_at: datetime | None = None) -> KernelState:
    return KernelState("False", reason.value, message, Situation(reason, message, wake_at))
