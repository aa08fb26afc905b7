"""`spec.podTemplateOverrides`: merged into the pod's template, and what of it is refused."""

from splat_operator.decide.overrides.refusal import OverrideError
from splat_operator.decide.overrides.template import overridden

__all__ = ["OverrideError", "overridden"]
