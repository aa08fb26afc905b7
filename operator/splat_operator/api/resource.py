"""The base of the resource's models, and the marks from which the CRD's schema is made."""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema

from splat_trainer.contract.model import Document

IMMUTABLE = "x-immutable"
"""Mark in a field's schema: the API server refuses a change. Becomes a CEL rule."""

RULES = "x-kubernetes-validations"

QUANTITY_PATTERN = r"^[0-9]+(\.[0-9]+)?(m|k|Ki|M|Mi|G|Gi|T|Ti)?$"


class ResourceModel(Document):
    """A part of the resource: camelCase outside, immutable inside, unknown fields refused."""


def rule(expression: str, message: str) -> dict[str, str]:
    """One CEL rule of `x-kubernetes-validations`; `message` is what the user reads."""
    return {"rule": expression, "message": message}


def rules(*several: dict[str, str]) -> dict[str, Any]:
    """Attach CEL rules to a model or a field, as its `json_schema_extra`."""
    return {RULES: list(several)}


def _quantity_text(value: object) -> object:
    """Kubernetes takes `cpu: 4` for `cpu: "4"`."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


Quantity = Annotated[
    str,
    BeforeValidator(_quantity_text),
    Field(pattern=QUANTITY_PATTERN, max_length=32),
    WithJsonSchema(
        {
            "x-kubernetes-int-or-string": True,
            "anyOf": [{"type": "integer"}, {"type": "string"}],
            "pattern": QUANTITY_PATTERN,
            "maxLength": 32,
        }
    ),
]
"""An amount as Kubernetes writes it: 500m, 4, 16Gi."""

ObjectName = Annotated[
    str, Field(min_length=1, max_length=253, pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")
]
"""The name of an object in the same namespace."""


class SecretReference(ResourceModel):
    """A Secret in the same namespace."""

    name: ObjectName = Field(description="Name of the Secret.")
