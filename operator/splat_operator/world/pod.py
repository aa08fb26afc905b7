"""What is seen of a trainer's pod."""

from dataclasses import dataclass
from datetime import datetime
from typing import Self

from splat_operator.world.fields import (
    Raw,
    condition,
    controller_name,
    controller_uid,
    mapping,
    mappings,
    moment,
    optional_integer,
    text,
)

TRAINER_CONTAINER = "trainer"

_JOB_NAME_LABEL = "batch.kubernetes.io/job-name"
"""On a pod of a Job; it stays when the Job goes and leaves its pods behind."""


@dataclass(frozen=True, slots=True)
class Termination:
    """How the trainer's container ended."""

    exit_code: int | None
    reason: str = ""
    message: str = ""
    finished_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod of `v1`, as far as decisions need it."""

    namespace: str
    name: str
    uid: str
    job_uid: str
    job_name: str = ""
    created_at: datetime | None = None
    deleting: bool = False
    ends_by: datetime | None = None
    """When the time is over that one which is being deleted has to end by itself."""
    phase: str = ""
    reason: str = ""
    message: str = ""
    node_name: str = ""
    unscheduled_reason: str = ""
    unscheduled_message: str = ""
    disruption: str = ""
    waiting_reason: str = ""
    waiting_message: str = ""
    started_at: datetime | None = None
    placed_at: datetime | None = None
    """When the kubelet took it: from then on it holds its GPUs."""
    running: bool = False
    termination: Termination | None = None

    @property
    def ended(self) -> bool:
        """Whether nothing of it runs any more, nor will."""
        return self.phase in ("Succeeded", "Failed")

    @classmethod
    def from_api(cls, raw: Raw) -> Self:
        """Read a pod as the API server gives it."""
        metadata, status = mapping(raw, "metadata"), mapping(raw, "status")
        scheduled = condition(status.get("conditions"), "PodScheduled")
        unscheduled = scheduled if scheduled.get("status") == "False" else {}
        disrupted = condition(status.get("conditions"), "DisruptionTarget")
        trainer: Raw = next(
            (
                item
                for item in mappings(status.get("containerStatuses"))
                if item.get("name") == TRAINER_CONTAINER
            ),
            {},
        )
        waiting = mapping(trainer, "state", "waiting")
        running = mapping(trainer, "state", "running")
        ended = mapping(trainer, "state", "terminated")
        return cls(
            namespace=text(metadata.get("namespace")),
            name=text(metadata.get("name")),
            uid=text(metadata.get("uid")),
            job_uid=controller_uid(metadata),
            job_name=controller_name(metadata)
            or text(mapping(metadata, "labels").get(_JOB_NAME_LABEL)),
            created_at=moment(metadata.get("creationTimestamp")),
            deleting="deletionTimestamp" in metadata,
            ends_by=moment(metadata.get("deletionTimestamp")),
            phase=text(status.get("phase")),
            reason=text(status.get("reason")),
            message=text(status.get("message")),
            node_name=text(mapping(raw, "spec").get("nodeName")),
            unscheduled_reason=text(unscheduled.get("reason")),
            unscheduled_message=text(unscheduled.get("message")),
            disruption=text(disrupted.get("reason")) if disrupted.get("status") == "True" else "",
            waiting_reason=text(waiting.get("reason")),
            waiting_message=text(waiting.get("message")),
            started_at=moment(running.get("startedAt")) or moment(ended.get("startedAt")),
            placed_at=moment(status.get("startTime")),
            running=bool(running),
            termination=Termination(
                exit_code=optional_integer(ended.get("exitCode")),
                reason=text(ended.get("reason")),
                message=text(ended.get("message")),
                finished_at=moment(ended.get("finishedAt")),
            )
            if ended
            else None,
        )
