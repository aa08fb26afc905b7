"""What is seen of compiled kernels: the cache that is set, Jobs that fill it, nodes with GPUs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from splat_operator.api import names
from splat_operator.world.documents import parse_kernels
from splat_operator.world.fields import Raw, condition, mapping, text
from splat_operator.world.job import Job
from splat_operator.world.pod import Pod
from splat_trainer.contract import KernelsDocument

GPU_MAJOR_LABEL = "nvidia.com/gpu.compute.major"
GPU_MINOR_LABEL = "nvidia.com/gpu.compute.minor"


@dataclass(frozen=True, slots=True)
class ClaimTemplate:
    """The claim that is made where the cache's is not there."""

    size: str
    access_modes: tuple[str, ...] = ("ReadWriteMany",)
    storage_class: str = ""


@dataclass(frozen=True, slots=True)
class KernelCacheSettings:
    """Where kernels are for trainings that do not say so themselves.

    At most one of `in_image`, `claim_name` and `node_path` is set; with none of them there is no
    cache. `node_path` is a folder of each node's own, and one in it for each namespace.
    """

    in_image: bool = False
    claim_name: str = ""
    path: str = ""
    node_path: str = ""
    claim_template: ClaimTemplate | None = None
    architectures: tuple[str, ...] = ()
    on_miss: str = "Build"
    max_bytes: int | None = None
    resources: Mapping[str, Any] = field(default_factory=dict)
    """Of the pods that compile, as a container's resources."""


@dataclass(frozen=True, slots=True)
class GpuNode:
    """A node with GPUs, their compute capability, and whether pods can start there now."""

    name: str
    architecture: str
    ready: bool = True

    @classmethod
    def from_api(cls, raw: Raw) -> Self | None:
        """Read a node; None where no label tells of a GPU (GPU feature discovery sets them)."""
        metadata = mapping(raw, "metadata")
        labels = mapping(metadata, "labels")
        major, minor = text(labels.get(GPU_MAJOR_LABEL)), text(labels.get(GPU_MINOR_LABEL))
        if not (major.isdecimal() and minor.isdecimal() and len(major) < 3 and len(minor) == 1):
            return None
        is_ready = condition(mapping(raw, "status").get("conditions"), "Ready")
        cordoned = mapping(raw, "spec").get("unschedulable") is True
        return cls(
            name=text(metadata.get("name")),
            architecture=f"{int(major)}.{minor}",
            ready=is_ready.get("status") == "True" and not cordoned,
        )


@dataclass(frozen=True, slots=True)
class WarmUp:
    """A Job that fills a kernel cache, and its pods, oldest first."""

    job: Job
    pods: tuple[Pod, ...] = ()
    access_modes: tuple[str, ...] = ()
    """How the claim can be mounted, as it was when the Job was made; empty where unknown."""
    collected: bool = False
    """Whether another Job has since deleted what this one compiled, for want of room."""

    @property
    def document(self) -> KernelsDocument | None:
        """What the newest pod that ended told; None where none did."""
        for pod in reversed(self.pods):
            if pod.termination:
                return parse_kernels(pod.termination.message)
        return None


def access_modes_of(raw: Raw) -> tuple[str, ...]:
    """Read how the claim of a Job that fills a cache can be mounted."""
    annotations = mapping(raw, "metadata", "annotations")
    return tuple(filter(None, text(annotations.get(names.ACCESS_MODES_ANNOTATION)).split(",")))


@dataclass(frozen=True, slots=True)
class KernelsSeen:
    """What is known of kernels where a training runs.

    `warm_ups` are those that its plan names, by name, as far as they are there; `keys_in_use`
    what other trainings of the namespace, which have not ended, find in the same cache.
    """

    nodes: tuple[GpuNode, ...] = ()
    warm_ups: Mapping[str, WarmUp] = field(default_factory=dict)
    keys_in_use: tuple[str, ...] = ()
