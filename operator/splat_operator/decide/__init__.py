"""Pure: what is observed in, what is wanted out. One policy a file."""

from splat_operator.decide.decide import decide
from splat_operator.decide.decision import (
    Action,
    CreateJob,
    Decision,
    DeleteJob,
    Event,
    UpdateJob,
)
from splat_operator.decide.job_name import job_name
from splat_operator.decide.reasons import MEANINGS, Meaning, Reason

__all__ = [
    "MEANINGS",
    "Action",
    "CreateJob",
    "Decision",
    "DeleteJob",
    "Event",
    "Meaning",
    "Reason",
    "UpdateJob",
    "decide",
    "job_name",
]
