"""What a user asks for: `spec` of a SplatTraining."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field, WithJsonSchema

from splat_operator.api.checkpoint import Checkpoint
from splat_operator.api.pod import (
    Affinity,
    EnvironmentVariable,
    KernelCache,
    PodTemplateOverrides,
    Resources,
    Toleration,
)
from splat_operator.api.resource import (
    IMMUTABLE,
    ObjectName,
    ResourceModel,
    SecretReference,
    rule,
    rules,
)
from splat_operator.api.storage import Output, Source
from splat_trainer.contract import TrainConfig
from splat_trainer.contract.presets import DEFAULT_PRESET, PRESET_OF_A_STRATEGY, PRESETS

_FIXED: dict[str, Any] = {IMMUTABLE: True}

QueueName = Annotated[
    str, Field(min_length=1, max_length=63, pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")
]
"""The name of a Kueue LocalQueue, as the value of a label."""

_DECIBEL_PATTERN = r"^[0-9]{1,3}(\.[0-9]{1,4})?$"

_STEPS_OF_PRESETS = ", ".join(f"'{name}': {one.iterations}" for name, one in PRESETS.items())
_STRATEGY_OF_PRESETS = ", ".join(f"'{name}': '{one.strategy}'" for name, one in PRESETS.items())

TRAINING_RULES = (
    rule(
        "!has(self.densifyUntilIteration) || self.densifyUntilIteration <= "
        f"(has(self.iterations) ? self.iterations : {{{_STEPS_OF_PRESETS}}}"
        "[has(self.preset) ? self.preset : "
        f"has(self.strategy) ? '{PRESET_OF_A_STRATEGY}' : '{DEFAULT_PRESET}'])",
        "densifyUntilIteration is after the last iteration: lower it, or raise iterations",
    ),
    rule(
        "!(has(self.strategy) && self.strategy == 'mcmc') || has(self.maxGaussians)",
        "strategy mcmc needs maxGaussians: it grows to that count",
    ),
    rule(
        f"!has(self.targetGaussians) || (has(self.strategy) ? self.strategy : "
        f"{{{_STRATEGY_OF_PRESETS}}}[has(self.preset) ? self.preset : '{DEFAULT_PRESET}'])"
        " == 'budget'",
        "targetGaussians is for strategy budget, which the presets but reference have: "
        "set maxGaussians",
    ),
    rule(
        "!has(self.targetGaussians) || !has(self.maxGaussians) || "
        "self.targetGaussians <= self.maxGaussians",
        "targetGaussians is above maxGaussians: lower it, or raise maxGaussians",
    ),
)
"""What TrainConfig checks across its fields, said to the API server."""

NOT_IN_TRAINING = ("checkpointInterval",)
"""Fields of TrainConfig that the resource has elsewhere: `spec.checkpoint.interval`."""


class QualityGate(ResourceModel):
    """What a splat must reach for the training to count as a success."""

    min_psnr: Annotated[
        str,
        BeforeValidator(lambda value: str(value) if isinstance(value, int) else value),
        WithJsonSchema(
            {
                "x-kubernetes-int-or-string": True,
                "anyOf": [{"type": "integer"}, {"type": "string"}],
                "pattern": _DECIBEL_PATTERN,
                "maxLength": 8,
            }
        ),
    ] = Field(
        pattern=_DECIBEL_PATTERN,
        description='Least mean PSNR over the held-out views, in dB, such as "27.5".',
    )


class SplatTrainingSpec(ResourceModel):
    """One training: a capture in, a splat out.

    What shapes the run cannot be changed once the resource is made; suspend, maxRetries and
    the deadlines can.
    """

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "!has(self.qualityGate) || !has(self.training) || "
                "!has(self.training.holdoutEvery) || self.training.holdoutEvery > 0",
                "qualityGate needs held-out views: training.holdoutEvery must not be 0",
            ),
        )
    )

    source: Source = Field(
        description="Where the capture is: images and their COLMAP model.",
        json_schema_extra=_FIXED,
    )
    output: Output = Field(
        description="Where the splat, its metrics and its report go. Nothing there is deleted "
        "with this resource.",
        json_schema_extra=_FIXED,
    )
    training: TrainConfig = Field(
        default_factory=TrainConfig,
        description="How to train. What is left out has the trainer's default.",
        json_schema_extra={**_FIXED, **rules(*TRAINING_RULES)},
    )
    checkpoint: Checkpoint | None = Field(
        None,
        description="When the state of the training is saved, and where. Default: when the pod is "
        "stopped, beside the output.",
        json_schema_extra=_FIXED,
    )
    quality_gate: QualityGate | None = Field(
        None,
        description="What the splat must reach. Below it the training has failed, and its "
        "outputs stay.",
        json_schema_extra=_FIXED,
    )
    resources: Resources = Field(
        default_factory=Resources,
        description="GPUs, CPU and memory of the pod.",
        json_schema_extra=_FIXED,
    )
    image: str | None = Field(
        None,
        pattern=r"^[^\s]+$",
        max_length=512,
        description="Trainer image. Default: the operator's, which fits its version.",
        json_schema_extra=_FIXED,
    )
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] | None = Field(
        None,
        description="When the image is pulled. Default: Always for the tag latest, else "
        "IfNotPresent.",
        json_schema_extra=_FIXED,
    )
    image_pull_secrets: tuple[SecretReference, ...] | None = Field(
        None,
        max_length=8,
        description="Secrets with the registry's credentials.",
        json_schema_extra=_FIXED,
    )
    kernel_cache: KernelCache | None = Field(
        None,
        description="Where the CUDA kernels are found compiled. Default: the operator's setting, "
        "else nowhere: the pod compiles them when it starts.",
        json_schema_extra=_FIXED,
    )
    env: tuple[EnvironmentVariable, ...] | None = Field(
        None,
        max_length=64,
        description="Further environment variables of the trainer.",
        json_schema_extra={
            **_FIXED,
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["name"],
        },
    )
    service_account_name: ObjectName | None = Field(
        None,
        description="Service account of the pod, for workload identity. The pod gets no token "
        "for the Kubernetes API. Default: default.",
        json_schema_extra=_FIXED,
    )
    node_selector: (
        Annotated[dict[str, Annotated[str, Field(max_length=63)]], Field(max_length=32)] | None
    ) = Field(
        None,
        description="Labels that a node must have, such as nvidia.com/gpu.product.",
        json_schema_extra=_FIXED,
    )
    tolerations: tuple[Toleration, ...] | None = Field(
        None,
        max_length=32,
        description="Taints of nodes that the pod may be placed in spite of. A taint with the "
        "name of the GPU resource is always tolerated when GPUs are asked for.",
        json_schema_extra=_FIXED,
    )
    affinity: Affinity | None = Field(
        None,
        description="Rules of placement, as in a pod's affinity.",
        json_schema_extra=_FIXED,
    )
    priority_class_name: ObjectName | None = Field(
        None, description="PriorityClass of the pod.", json_schema_extra=_FIXED
    )
    runtime_class_name: ObjectName | None = Field(
        None, description="RuntimeClass of the pod, such as nvidia.", json_schema_extra=_FIXED
    )
    pod_template_overrides: PodTemplateOverrides | None = Field(
        None,
        description="Merged into the pod's template as a strategic merge patch, for what has no "
        "field here: metadata.labels, metadata.annotations, spec. What would loosen the "
        "restricted Pod Security Standard, or change the trainer's command, its progress token "
        "or what the operator owns, is refused with the field's name.",
        json_schema_extra=_FIXED,
    )
    queue_name: QueueName | None = Field(
        None,
        description="Queue of Kueue that the Job is put into. When it starts and on which nodes "
        "is then decided by Kueue.",
        json_schema_extra=_FIXED,
    )
    suspend: bool = Field(
        False,
        description="Stop the pod and free its GPU, or do not start it. Set back to false, the "
        "training goes on from its last checkpoint.",
    )
    max_retries: int = Field(
        3,
        ge=0,
        le=100,
        description="How often a failed pod is replaced. Faults of the capture or the "
        "configuration are not retried, evictions do not count.",
    )
    start_deadline_seconds: int | None = Field(
        None,
        ge=1,
        le=31_536_000,
        description="Fail when the trainer has not started so many seconds after the Job was "
        "made: no node, no image, no volume. Default: wait for ever.",
    )
    active_deadline_seconds: int | None = Field(
        None,
        ge=1,
        le=31_536_000,
        description="Fail when the training is not done so many seconds after its Job started, "
        "waiting and retries included. Default: none.",
    )
    ttl_seconds_after_finished: int | None = Field(
        None,
        ge=0,
        le=31_536_000,
        description="Seconds from the end until Job, pod and logs are deleted. This resource and "
        "the outputs stay. Default: they stay too.",
    )
