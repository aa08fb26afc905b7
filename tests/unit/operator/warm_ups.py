"""Jobs that compile kernels, and what is decided of a training that waits for them."""

from datetime import timedelta
from typing import Any

from splat_operator.decide import Decision, decide, kernel_plan
from splat_operator.world import (
    GpuNode,
    Job,
    KernelCacheSettings,
    KernelsSeen,
    Pod,
    Training,
    WarmUp,
    World,
)
from splat_trainer.contract import KernelsDocument, KernelsOutcome

from .builders import NOW, at, condition, installation, pod, terminated

CACHE = KernelCacheSettings(claim_name="kernels", architectures=("9.0",))
KEY = "gsplat-1.5.3-0123456789abcdef"
NODES = (GpuNode("a", "8.0"), GpuNode("b", "9.0"))


def warm_up(name: str, *pods: Pod, modes: tuple[str, ...] = (), **status: Any) -> WarmUp:
    raw = {
        "metadata": {"namespace": "gardens", "name": name, "uid": "warm-up-1"},
        "spec": {"backoffLimit": 2, "ttlSecondsAfterFinished": 7 * 24 * 3600},
        "status": {"startTime": at(1), **status},
    }
    return WarmUp(Job.from_api(raw), pods, modes)


def ended(**fields: Any) -> Pod:
    """A pod that compiled, with the document that it left."""
    document = KernelsDocument(**fields)
    failed = document.outcome is KernelsOutcome.FAILED
    return pod("kernels-x", **terminated(78 if failed else 0, document.to_json()))


def built() -> Pod:
    return ended(outcome=KernelsOutcome.BUILT, key=KEY, build_seconds=90.0)


def names(asked: Training, settings: KernelCacheSettings = CACHE, nodes: Any = ()) -> list[str]:
    plan = kernel_plan(installation(kernel_cache=settings), asked, nodes)
    return [one.name for one in plan.warm_ups]


def decided(
    asked: Training,
    found: WarmUp | None = None,
    *pods: Pod,
    settings: KernelCacheSettings = CACHE,
    own: Job | None = None,
    nodes: tuple[GpuNode, ...] = (),
    seconds: float = 5,
) -> Decision:
    seen = KernelsSeen(nodes=nodes, warm_ups={found.job.name: found} if found else {})
    world = World(installation(kernel_cache=settings), asked, own, pods, kernels=seen)
    return decide(world, NOW + timedelta(seconds=seconds))


def ready(decision: Decision) -> dict[str, Any]:
    assert decision.status is not None
    return condition(dict(decision.status), "KernelsReady")


def told(decision: Decision) -> dict[str, Any]:
    assert decision.status is not None
    return dict(decision.status)
