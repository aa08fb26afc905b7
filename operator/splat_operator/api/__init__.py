"""The resource: its spec and status as models, from which the CRD and its page are generated."""

from splat_operator.api.spec import SplatTrainingSpec
from splat_operator.api.status import (
    Condition,
    ConditionType,
    Phase,
    Progress,
    SplatTrainingStatus,
)

__all__ = [
    "Condition",
    "ConditionType",
    "Phase",
    "Progress",
    "SplatTrainingSpec",
    "SplatTrainingStatus",
]
