"""When the state of a training is saved, and where it is kept."""

from pydantic import ConfigDict, Field

from splat_operator.api.resource import ResourceModel
from splat_operator.api.storage import EXACTLY_ONE, ClaimLocation, S3Location


class CheckpointPlace(ResourceModel):
    """Where checkpoints are kept. Exactly one of its fields."""

    model_config = ConfigDict(json_schema_extra=EXACTLY_ONE)

    s3: S3Location | None = Field(None, description="Keep them in an object store.")
    persistent_volume_claim: ClaimLocation | None = Field(
        None, description="Keep them on a volume, such as a fast one while the output goes to S3."
    )


class Checkpoint(ResourceModel):
    """When the state of the training is saved, and where, so that it can go on."""

    interval: int = Field(
        0,
        ge=0,
        le=1_000_000,
        description="Iterations between two checkpoints. 0: only when the pod is stopped.",
    )
    where: CheckpointPlace | None = Field(
        None,
        description="Where the newest is kept. Each training has a folder of its own there, named "
        "like its Job. Default: checkpoints/ in the output.",
    )
