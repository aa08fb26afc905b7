"""What is told of a training: `status` of a SplatTraining.

Numbers with a fraction are text, as the API conventions ask; they are written as a person
would read them, because `kubectl get` prints them as they are.
"""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, WithJsonSchema

from splat_operator.api.resource import ResourceModel

Time = Annotated[str, WithJsonSchema({"type": "string", "format": "date-time"})]
"""A moment in UTC, RFC 3339, whole seconds."""


class Phase(StrEnum):
    """The state of a training in a word, derived from the conditions."""

    PENDING = "Pending"
    PREPARING_KERNELS = "PreparingKernels"
    QUEUED = "Queued"
    RUNNING = "Running"
    SUSPENDED = "Suspended"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"


class ConditionType(StrEnum):
    """The conditions, in the order in which a training passes them."""

    ACCEPTED = "Accepted"
    KERNELS_READY = "KernelsReady"
    SCHEDULED = "Scheduled"
    RUNNING = "Running"
    SUCCEEDED = "Succeeded"


class Condition(ResourceModel):
    """One aspect of the training's state."""

    type: ConditionType = Field(
        description="Accepted: the operator can act on the spec. KernelsReady: the CUDA kernels "
        "are compiled; Unknown where no cache is set. Scheduled: the pod has a node. Running: the "
        "trainer runs. Succeeded: Unknown until the end, then True or False."
    )
    status: Literal["True", "False", "Unknown"] = Field(description="True, False or Unknown.")
    reason: str = Field(
        max_length=64, description="Why, in one CamelCase word; docs/decisions.md lists them."
    )
    message: str = Field(max_length=2048, description="Why, in a sentence, and what to do.")
    last_transition_time: Time = Field(description="When status last changed.")
    observed_generation: int = Field(description="The generation of the spec that this is about.")


class Progress(ResourceModel):
    """Where a running training is. Written by the progress endpoint as the trainer reports."""

    stage: str = Field(
        max_length=32,
        description="Fetching, Loading, Compiling, Training, Evaluating, Exporting, Uploading, "
        "or Done.",
    )
    percent: str = Field(max_length=8, description="Iterations done, such as 45%.")
    iteration: int = Field(description="Iterations done.")
    iterations: int = Field(description="Iterations in all.")
    iterations_per_second: str | None = Field(
        None, max_length=16, description="Speed of late, such as 108.3."
    )
    eta_seconds: int | None = Field(None, description="Seconds of training still to go.")
    eta: str | None = Field(None, max_length=16, description="The same for people, such as 4m12s.")
    loss: str | None = Field(None, max_length=16, description="Training loss.")
    psnr: str | None = Field(
        None, max_length=16, description="PSNR in dB; at the end, over the held-out views."
    )
    gaussians: int | None = Field(None, description="Gaussians held.")
    gpu_memory_bytes: int | None = Field(None, description="GPU memory in use.")
    last_updated: Time | None = Field(None, description="When the trainer said so.")


class Result(ResourceModel):
    """What a training came to."""

    psnr: str | None = Field(None, description="Mean PSNR over the held-out views, in dB.")
    ssim: str | None = Field(None, description="Mean SSIM over the held-out views.")
    iterations: int | None = Field(None, description="Training steps done.")
    gaussians: int | None = Field(None, description="Gaussians in the splat.")
    train_seconds: int | None = Field(None, description="Seconds of the training loop alone.")
    total_seconds: int | None = Field(None, description="Seconds of the whole process.")
    peak_gpu_memory_bytes: int | None = Field(None, description="Most GPU memory ever in use.")
    quality_gate: Literal["Passed", "Failed"] | None = Field(
        None, description="Whether the splat reached spec.qualityGate."
    )


class OutputEntry(ResourceModel):
    """A file that the training wrote."""

    format: str = Field(
        max_length=64,
        description="What it is: a format of spec.output.formats, metrics, report, previews, "
        "checkpoint.",
    )
    uri: str = Field(
        max_length=2048,
        description="Where it is: s3://bucket/key, or pvc://claim/path on a volume.",
    )
    bytes: int = Field(description="Its size.")
    sha256: str | None = Field(None, max_length=64, description="Its checksum.")


class CheckpointEntry(ResourceModel):
    """The newest checkpoint that is kept."""

    iteration: int = Field(description="Training step of the checkpoint.")
    uri: str = Field(max_length=2048, description="Where it is.")


class Kernels(ResourceModel):
    """The CUDA kernels that the training used."""

    source: str = Field(
        max_length=16,
        description="Cache, Image, Folder (a bare library in the cache's folder), or Compiled (by "
        "the pod itself).",
    )
    key: str | None = Field(None, max_length=128, description="Their key in the cache.")
    seconds: str | None = Field(
        None, max_length=16, description="To find and load them, or to compile them."
    )
    seconds_saved: int | None = Field(
        None, description="What compiling in the pod would have added, by the cache's own build."
    )
    refused: str | None = Field(
        None, max_length=1024, description="Why the cache's own were not taken."
    )


class SplatTrainingStatus(ResourceModel):
    """What the operator has seen of the training. Rebuilt from Job and pods at any time."""

    observed_generation: int | None = Field(
        None, description="The generation of the spec that this is about."
    )
    phase: Phase | None = Field(
        None, description="The state in a word, derived from the conditions."
    )
    conditions: tuple[Condition, ...] | None = Field(
        None,
        max_length=8,
        description="The state in full. `kubectl wait --for=condition=Succeeded` waits for the "
        "end.",
        json_schema_extra={
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["type"],
        },
    )
    progress: Progress | None = Field(None, description="Where the training is.")
    result: Result | None = Field(None, description="What the training came to.")
    outputs: tuple[OutputEntry, ...] | None = Field(
        None,
        max_length=64,
        description="The files written; the splat first.",
        json_schema_extra={"x-kubernetes-list-type": "atomic"},
    )
    checkpoint: CheckpointEntry | None = Field(
        None,
        description="The newest checkpoint that is kept, told while the trainer runs too: a lost "
        "node costs the steps since then.",
    )
    job_name: str | None = Field(None, description="The Job that trains.")
    pod_name: str | None = Field(None, description="Its newest pod.")
    node_name: str | None = Field(None, description="The node of that pod.")
    gpu: str | None = Field(None, max_length=128, description="The GPU that trained.")
    attempts: int | None = Field(None, description="Pods started so far.")
    kernels: Kernels | None = Field(None, description="The CUDA kernels that it trained with.")
    gpu_seconds: int | None = Field(
        None,
        description="GPUs times the seconds that pods held them, image pulls and retries included.",
    )
    gpu_seconds_until: Time | None = Field(
        None, description="Up to when they are counted; what a pod held later comes on top."
    )
    start_time: Time | None = Field(None, description="When the trainer first started.")
    completion_time: Time | None = Field(None, description="When the training ended.")
