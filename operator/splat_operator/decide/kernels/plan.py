"""Where a training's kernels come from, and which Jobs compile them: from its spec alone.

The operator knows an image's name and not what is in it. So the name of a Job that compiles
follows from cache, image and architectures, and the API server lets only one of that name be; the
key under which the kernels lie is found out inside of the image, and told by the Job.
"""

import hashlib
import json
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from splat_operator.api import SplatTrainingSpec
from splat_operator.world import GpuNode, Installation, KernelCacheSettings, Training

KERNELS_FOLDER = "/kernels"
"""Where a cache is mounted."""

_NAME_DIGITS = 16


class KernelSource(Enum):
    """Where a training's kernels come from."""

    NOT_NEEDED = "NotNeeded"
    IMAGE = "InImage"
    NOWHERE = "NoCache"
    CACHE = "Cache"


@dataclass(frozen=True)
class WarmUpPlan:
    """One Job that compiles; `node` is where it must run, empty for anywhere."""

    name: str
    architectures: tuple[str, ...]
    node: str = ""


@dataclass(frozen=True)
class KernelPlan:
    """Where a training's kernels come from; all but `source` is about a cache only.

    `volume` is the cache as a pod's volume, `folder` its place in the pod, `shown` its name for
    people. `warm_ups` is empty where nobody tells which architectures are needed.
    """

    source: KernelSource
    claim_name: str = ""
    volume: dict[str, Any] = field(default_factory=dict)
    folder: str = ""
    shown: str = ""
    on_miss: str = "Build"
    warm_ups: tuple[WarmUpPlan, ...] = ()

    @property
    def cached(self) -> bool:
        """Whether there is a cache to be mounted."""
        return self.source is KernelSource.CACHE


def kernel_plan(
    installation: Installation, training: Training, nodes: tuple[GpuNode, ...] = ()
) -> KernelPlan:
    """Plan from the spec, the operator's settings and the nodes that there are."""
    spec, settings = training.spec, installation.kernel_cache
    asked = spec.kernel_cache if spec else None
    if spec is None or not (spec.resources.gpus or asked):
        return KernelPlan(KernelSource.NOT_NEEDED)
    if asked.source == "Image" if asked else settings.in_image:
        return KernelPlan(KernelSource.IMAGE)
    place = _place(spec, settings, training.namespace)
    if place is None:
        return KernelPlan(KernelSource.NOWHERE)
    claim, volume, path, shown = place
    image = spec.image or installation.trainer_image
    given = (asked.architectures if asked else None) or settings.architectures
    pull = [spec.image_pull_policy, [one.name for one in spec.image_pull_secrets or ()]]

    def warm_up(architectures: tuple[str, ...], node: str = "") -> WarmUpPlan:
        ordered = tuple(sorted(set(architectures), key=_by_number))
        identity = json.dumps([volume, path, image, pull, ordered, node], sort_keys=True)
        digits = hashlib.sha256(identity.encode()).hexdigest()[:_NAME_DIGITS]
        return WarmUpPlan(f"splat-kernels-{digits}", ordered, node)

    if claim:
        wanted = given or tuple(node.architecture for node in nodes)
        warm_ups: tuple[WarmUpPlan, ...] = (warm_up(wanted),) if wanted else ()
    else:
        ready = sorted((node for node in nodes if node.ready), key=lambda node: node.name)
        warm_ups = tuple(warm_up(given or (node.architecture,), node.name) for node in ready)
    return KernelPlan(
        KernelSource.CACHE,
        claim_name=claim,
        volume=volume,
        folder=f"{KERNELS_FOLDER}/{path.strip('/')}".rstrip("/"),
        shown=shown,
        on_miss=(asked.on_miss if asked else None) or settings.on_miss,
        warm_ups=warm_ups,
    )


def _place(
    spec: SplatTrainingSpec, settings: KernelCacheSettings, namespace: str
) -> tuple[str, dict[str, Any], str, str] | None:
    """Give the cache's claim (empty for none), volume, folder in it, and name for people."""
    asked = spec.kernel_cache
    if asked and asked.claim_name:
        claim, path = asked.claim_name, asked.path or ""
    elif settings.claim_name:
        claim, path = settings.claim_name, settings.path
    elif settings.node_path:
        # A folder for each namespace: nobody writes into what another namespace loads. It must be
        # there: the kubelet would make it root's, and who compiles could not write into it.
        folder = f"{settings.node_path.rstrip('/')}/{namespace}"
        volume = {"hostPath": {"path": folder, "type": "Directory"}}
        return "", volume, "", f"folder {folder} of each node"
    else:
        return None
    return claim, {"persistentVolumeClaim": {"claimName": claim}}, path, f"claim {claim}"


def _by_number(architecture: str) -> tuple[float, str]:
    digits = architecture.rstrip("abcdefPTX+")
    return float(digits), architecture
