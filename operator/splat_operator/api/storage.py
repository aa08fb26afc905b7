"""Where a capture is read from and where a splat is written to."""

from typing import Annotated

from pydantic import ConfigDict, Field

from splat_operator.api.resource import (
    ObjectName,
    ResourceModel,
    SecretReference,
    rule,
    rules,
)
from splat_trainer.contract import SplatFormat

RelativePath = Annotated[
    str,
    Field(
        max_length=1024,
        pattern=r"^[^/\x00-\x1f]+(/[^/\x00-\x1f]+)*/?$",
        json_schema_extra=rules(
            rule(
                "!self.split('/').exists(part, part == '..' || part == '.')",
                "path must stay inside of the volume: no '.' or '..' in it",
            )
        ),
    ),
]


class S3Location(ResourceModel):
    """A prefix, or one archive, in an S3-compatible object store."""

    uri: str = Field(
        description="Bucket and prefix, such as s3://captures/garden.",
        pattern=r"^s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[^\x00-\x1f]*)?$",
        max_length=1024,
    )
    endpoint: str | None = Field(
        None,
        description="Address of an S3-compatible server, such as http://s3.storage.svc:7070. "
        "Default: Amazon's.",
        pattern=r"^https?://[^/\s@]+/?$",
        max_length=512,
    )
    region: str | None = Field(
        None,
        description="Region of the bucket. Default: us-east-1.",
        pattern=r"^[a-z0-9-]+$",
        max_length=64,
    )
    credentials_secret_ref: SecretReference | None = Field(
        None,
        description="Secret with the keys AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY and, "
        "for temporary credentials, AWS_SESSION_TOKEN. Without it the pod's service account must "
        "be granted access.",
    )


class ClaimLocation(ResourceModel):
    """A folder in a PersistentVolumeClaim."""

    claim_name: ObjectName = Field(
        description="Name of the PersistentVolumeClaim, in the same namespace."
    )
    path: RelativePath | None = Field(
        None, description="Folder in the volume, such as captures/garden. Default: its root."
    )


EXACTLY_ONE = rules(
    rule(
        "has(self.s3) != has(self.persistentVolumeClaim)",
        "give exactly one of s3 and persistentVolumeClaim",
    )
)


class Source(ResourceModel):
    """Where the capture is: images and their COLMAP model. Exactly one of its fields."""

    model_config = ConfigDict(json_schema_extra=EXACTLY_ONE)

    s3: S3Location | None = Field(None, description="The capture is in an object store.")
    persistent_volume_claim: ClaimLocation | None = Field(
        None, description="The capture is on a volume, which is mounted read-only."
    )


class Output(ResourceModel):
    """Where the splat, its metrics and its report go. Exactly one of its fields."""

    model_config = ConfigDict(json_schema_extra=EXACTLY_ONE)

    s3: S3Location | None = Field(None, description="Write to an object store.")
    persistent_volume_claim: ClaimLocation | None = Field(
        None, description="Write to a volume; the folder is made if it is not there."
    )
    formats: tuple[SplatFormat, ...] = Field(
        (SplatFormat.PLY,),
        min_length=1,
        max_length=len(SplatFormat),
        description="Formats of the splat: ply (3DGS, written in any case), compressed-ply "
        "(PlayCanvas), spz (Niantic), splat (antimatter15, without view-dependent colour).",
        json_schema_extra={"x-kubernetes-list-type": "set"},
    )
