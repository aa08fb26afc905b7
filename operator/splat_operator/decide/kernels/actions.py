"""What must be done about the Jobs that compile kernels."""

from datetime import datetime

from splat_operator.api import SplatTrainingSpec
from splat_operator.decide.decision import Action, CreateWarmUp, RedoWarmUp, UpdateJob
from splat_operator.decide.ending import result_of
from splat_operator.decide.kernels.plan import KernelPlan, WarmUpPlan, kernel_plan
from splat_operator.decide.kernels.warm_up_job import (
    has_its_pause,
    pause_after,
    warm_up_manifest,
)
from splat_operator.world import Pod, WarmUp, World
from splat_operator.world.fields import moment
from splat_trainer.contract import KernelsSource, Reason


def warm_up_actions(world: World) -> tuple[Action, ...]:
    """Make the Jobs that are missing, let failed ones go, do those again that were in vain."""
    spec = world.training.spec
    plan = kernel_plan(world.installation, world.training, world.kernels.nodes)
    if spec is None or not plan.cached:
        return ()
    found: list[Action] = []
    for one in plan.warm_ups:
        seen = world.kernels.warm_ups.get(one.name)
        if seen is None:
            found.append(_create(world, spec, plan, one))
        elif seen.job.deleting:
            continue
        elif seen.job.failure_reason and not has_its_pause(seen.job):
            change = {"ttlSecondsAfterFinished": pause_after(seen.job, _waits_since(world))}
            found.append(UpdateJob(seen.job.namespace, one.name, seen.job.uid, change))
        elif seen.job.complete and (
            seen.collected or any(_in_vain(pod, seen) for pod in world.pods)
        ):
            created = _create(world, spec, plan, one)
            found.append(RedoWarmUp(created, seen.job.uid))
    return tuple(found)


def _waits_since(world: World) -> datetime | None:
    """Since when the training has told that its kernels are not there; None where it does not."""
    told = world.training.condition("KernelsReady")
    return moment(told.get("lastTransitionTime")) if told.get("status") == "False" else None


def _create(
    world: World, spec: SplatTrainingSpec, plan: KernelPlan, one: WarmUpPlan
) -> CreateWarmUp:
    manifest = warm_up_manifest(
        world.installation, world.training, spec, plan, one, world.kernels.keys_in_use
    )
    template = world.installation.kernel_cache.claim_template
    own = plan.claim_name == world.installation.kernel_cache.claim_name
    return CreateWarmUp(manifest, plan.claim_name, template if own else None)


def _in_vain(pod: Pod, warm_up: WarmUp) -> bool:
    """Whether a pod did not take the kernels that were there when it started.

    Once: a Job that is done again ends after that pod has started, by a second or more.
    """
    result = result_of(pod)
    done = warm_up.job.finished_at
    if result is None or done is None or pod.started_at is None or pod.started_at <= done:
        return False
    if result.reason is Reason.KERNELS_NOT_FOUND:
        return True
    return result.kernels is not None and result.kernels.source is KernelsSource.COMPILED
