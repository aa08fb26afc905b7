"""What is observed, as immutable values, read from what the API server gives."""

from splat_operator.world.decoding import loads
from splat_operator.world.documents import parse_kernels, parse_progress, parse_result
from splat_operator.world.job import Job
from splat_operator.world.kernels import (
    ClaimTemplate,
    GpuNode,
    KernelCacheSettings,
    KernelsSeen,
    WarmUp,
)
from splat_operator.world.pod import TRAINER_CONTAINER, Pod, Termination
from splat_operator.world.training import Training
from splat_operator.world.world import Installation, Trouble, World

__all__ = [
    "TRAINER_CONTAINER",
    "ClaimTemplate",
    "GpuNode",
    "Installation",
    "Job",
    "KernelCacheSettings",
    "KernelsSeen",
    "Pod",
    "Termination",
    "Training",
    "Trouble",
    "WarmUp",
    "World",
    "loads",
    "parse_kernels",
    "parse_progress",
    "parse_result",
]
