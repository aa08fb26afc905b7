"""What a user may say about the trainer's pod."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field, WithJsonSchema

from splat_operator.api.depth import within_depth
from splat_operator.api.resource import ObjectName, Quantity, ResourceModel, rule, rules
from splat_operator.api.storage import RelativePath
from splat_trainer.contract.kernels import ARCHITECTURE_PATTERN


class Resources(ResourceModel):
    """What the trainer's pod gets."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                # The API server asks of the default, {}, before it fills in those of its fields.
                "!has(self.gpus) || self.gpus < 2 || !has(self.gpuResourceName) || "
                "!(self.gpuResourceName.contains('/mig-') || "
                "self.gpuResourceName.endsWith('.shared'))",
                "more than one GPU trains one scene only where they are whole ones: set gpus to 1 "
                "for a MIG slice or a shared GPU",
            )
        )
    )

    gpus: int = Field(
        1,
        ge=0,
        le=8,
        description="GPUs of the pod, which train one scene together, each on another view at "
        "every step. 0 trains on the CPU.",
    )
    gpu_resource_name: str = Field(
        "nvidia.com/gpu",
        description="Name of the GPU resource, such as nvidia.com/mig-3g.40gb or "
        "nvidia.com/gpu.shared.",
        pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?/[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$",
        max_length=316,
    )
    cpu: Quantity | None = Field(
        None, description='CPU cores to reserve, such as "4" or 500m. More may be used if idle.'
    )
    memory: Quantity | None = Field(
        None, description="Memory to reserve, which is also its limit, such as 16Gi."
    )
    shared_memory: Quantity | None = Field(
        None,
        description="Size of /dev/shm, through which GPUs without NVLink exchange. What is used "
        "of it counts against memory. Default: 1Gi for each GPU. 0 mounts nothing there, as "
        "CUDA's Multi-Process Service wants it.",
    )


class Toleration(ResourceModel):
    """A taint that the pod may be placed in spite of, as in a pod's tolerations."""

    key: str | None = Field(None, max_length=316, description="The taint's key; none: every key.")
    operator: Literal["Exists", "Equal"] | None = Field(
        None, description="How the value is compared. Default: Equal."
    )
    value: str | None = Field(None, max_length=63, description="The taint's value, for Equal.")
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = Field(
        None, description="The taint's effect; none: every effect."
    )
    toleration_seconds: int | None = Field(
        None, description="How long a NoExecute taint is tolerated. Default: for ever."
    )


class KeyReference(ResourceModel):
    """One key of a Secret or a ConfigMap in the same namespace."""

    name: ObjectName = Field(description="Name of the object.")
    key: str = Field(min_length=1, max_length=253, description="Key in it.")
    optional: bool | None = Field(None, description="Start also where it is missing.")


class EnvironmentSource(ResourceModel):
    """Where a variable's value comes from. Exactly one of its fields."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "has(self.secretKeyRef) != has(self.configMapKeyRef)",
                "give exactly one of secretKeyRef and configMapKeyRef",
            )
        )
    )

    secret_key_ref: KeyReference | None = Field(None, description="A key of a Secret.")
    config_map_key_ref: KeyReference | None = Field(None, description="A key of a ConfigMap.")


class EnvironmentVariable(ResourceModel):
    """An environment variable of the trainer."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "!(has(self.value) && has(self.valueFrom))", "give value or valueFrom, and not both"
            ),
            rule(
                "!self.name.startsWith('SPLAT_')",
                "names that begin with SPLAT_ are the operator's own",
            ),
            rule(
                "!(self.name in ['AWS_SECRET_ACCESS_KEY', 'AWS_SESSION_TOKEN'] && has(self.value))",
                "a secret does not belong here: use credentialsSecretRef, or "
                "valueFrom.secretKeyRef",
            ),
        )
    )

    name: str = Field(
        pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=128, description="Name of the variable."
    )
    value: str | None = Field(None, max_length=32_768, description="Its value.")
    value_from: EnvironmentSource | None = Field(None, description="Where its value comes from.")


class KernelCache(ResourceModel):
    """Where the trainer finds its CUDA kernels compiled."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "self.source != 'Image' || !(has(self.claimName) || has(self.path) || "
                "has(self.architectures))",
                "kernels in the image need no volume: leave claimName, path and architectures out",
            ),
            rule(
                "!has(self.path) || has(self.claimName)", "path is a folder in claimName: give it"
            ),
        )
    )

    source: Literal["Cache", "Image"] = Field(
        "Cache",
        description="Cache: on a volume, compiled there once by a Job without a GPU, before the "
        "training starts. Image: compiled when the image was built, nothing is waited for.",
    )
    claim_name: ObjectName | None = Field(
        None,
        description="Name of the PersistentVolumeClaim, in the same namespace; trainers mount it "
        "read-only. Default: the operator's setting.",
    )
    path: RelativePath | None = Field(
        None, description="Folder of the cache in the volume. Default: its root."
    )
    architectures: (
        Annotated[
            tuple[Annotated[str, Field(pattern=ARCHITECTURE_PATTERN, max_length=9)], ...],
            Field(min_length=1, max_length=16),
        ]
        | None
    ) = Field(
        None,
        description='Compute capabilities to compile for, such as "9.0". Default: the '
        "operator's setting, else those that the nodes' labels tell (GPU feature discovery).",
        json_schema_extra={"x-kubernetes-list-type": "set"},
    )
    on_miss: Literal["Build", "CompileInPod", "Fail"] | None = Field(
        None,
        description="When the kernels cannot be compiled into the cache. Build: wait and try "
        "again. CompileInPod: start, and compile in the trainer's pod. Fail: the training has "
        "failed. Default: the operator's setting, else Build.",
    )


Affinity = Annotated[
    dict[str, Any],
    AfterValidator(within_depth),
    WithJsonSchema({"type": "object", "x-kubernetes-preserve-unknown-fields": True}),
]

PodTemplateOverrides = Annotated[
    dict[str, Any],
    AfterValidator(within_depth),
    WithJsonSchema({"type": "object", "x-kubernetes-preserve-unknown-fields": True}),
]
