"""What is seen of a training's Job."""

from dataclasses import dataclass
from datetime import datetime
from typing import Self

from splat_operator.api import names
from splat_operator.world.fields import (
    Raw,
    condition,
    controller_uid,
    integer,
    mapping,
    moment,
    optional_integer,
    text,
)


@dataclass(frozen=True, slots=True)
class Job:
    """A Job of `batch/v1`, as far as decisions need it."""

    namespace: str
    name: str
    uid: str
    owner_uid: str
    created_at: datetime | None = None
    deleting: bool = False
    suspend: bool = False
    own_suspend: bool = True
    """Whether the operator suspended it, if it is; so it is taken to be of a Job that an operator
    made which did not write that down."""
    queue: str = ""
    """The queue that decides when it starts, whoever has put it there; empty where none does."""
    backoff_limit: int | None = None
    active_deadline_seconds: int | None = None
    ttl_seconds_after_finished: int | None = None
    started_at: datetime | None = None
    active: int = 0
    succeeded: int = 0
    failed: int = 0
    complete: bool = False
    failure_reason: str = ""
    failure_message: str = ""
    finished_at: datetime | None = None

    @property
    def finished(self) -> bool:
        """Whether the Job has come to its end, good or bad."""
        return self.complete or bool(self.failure_reason)

    @classmethod
    def from_api(cls, raw: Raw) -> Self:
        """Read a Job as the API server gives it."""
        metadata, spec, status = (mapping(raw, part) for part in ("metadata", "spec", "status"))
        complete = condition(status.get("conditions"), "Complete")
        failed = condition(status.get("conditions"), "Failed")
        # FailureTarget comes first and says the same, but the pods may still be running then.
        is_complete = complete.get("status") == "True"
        is_failed = failed.get("status") == "True"
        ended = complete if is_complete else failed if is_failed else {}
        return cls(
            namespace=text(metadata.get("namespace")),
            name=text(metadata.get("name")),
            uid=text(metadata.get("uid")),
            owner_uid=controller_uid(metadata),
            created_at=moment(metadata.get("creationTimestamp")),
            deleting="deletionTimestamp" in metadata,
            suspend=spec.get("suspend") is True,
            own_suspend=mapping(metadata, "annotations").get(names.SUSPENDED_ANNOTATION) != "false",
            queue=text(mapping(metadata, "labels").get(names.QUEUE_LABEL)),
            backoff_limit=optional_integer(spec.get("backoffLimit")),
            active_deadline_seconds=optional_integer(spec.get("activeDeadlineSeconds")),
            ttl_seconds_after_finished=optional_integer(spec.get("ttlSecondsAfterFinished")),
            started_at=moment(status.get("startTime")),
            active=integer(status.get("active")),
            succeeded=integer(status.get("succeeded")),
            failed=integer(status.get("failed")),
            complete=is_complete,
            failure_reason=(text(failed.get("reason")) or "Failed") if is_failed else "",
            failure_message=text(failed.get("message")) if is_failed else "",
            finished_at=moment(ended.get("lastTransitionTime")),
        )
