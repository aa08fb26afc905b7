"""What is seen of a SplatTraining."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self

from pydantic import ValidationError

from splat_operator.api import SplatTrainingSpec
from splat_operator.world.fields import Raw, condition, integer, mapping, moment, text


@dataclass(frozen=True, slots=True)
class Training:
    """A SplatTraining. `spec` is None where it cannot be read, and `spec_error` says why."""

    namespace: str
    name: str
    uid: str
    generation: int
    spec: SplatTrainingSpec | None
    spec_error: str = ""
    created_at: datetime | None = None
    deleting: bool = False
    status: Mapping[str, Any] = field(default_factory=dict)

    def condition(self, kind: str) -> Raw:
        """Give one condition of the status as it is written; empty where it is not."""
        return condition(self.status.get("conditions"), kind)

    @property
    def finished(self) -> bool:
        """Whether the status already tells the end."""
        return self.condition("Succeeded").get("status") in ("True", "False")

    @classmethod
    def from_api(cls, raw: Raw) -> Self:
        """Read a SplatTraining as the API server gives it."""
        metadata = mapping(raw, "metadata")
        spec, error = _read_spec(raw.get("spec"))
        return cls(
            namespace=text(metadata.get("namespace")),
            name=text(metadata.get("name")),
            uid=text(metadata.get("uid")),
            generation=integer(metadata.get("generation")),
            spec=spec,
            spec_error=error,
            created_at=moment(metadata.get("creationTimestamp")),
            deleting="deletionTimestamp" in metadata,
            status=mapping(raw, "status"),
        )


def _read_spec(raw: Any) -> tuple[SplatTrainingSpec | None, str]:
    try:
        return SplatTrainingSpec.model_validate(raw), ""
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in ("spec", *first["loc"]))
        return None, f"{where}: {str(first['msg']).removeprefix('Value error, ')}"
