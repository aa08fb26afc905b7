"""Pure: what is observed in, what is wanted out. One policy a file."""

from splat_operator.decide.decide import decide
from splat_operator.decide.decision import (
    Action,
    CreateJob,
    CreateWarmUp,
    Decision,
    DeleteJob,
    Event,
    RedoWarmUp,
    UpdateJob,
)
from splat_operator.decide.job_name import is_job_name, job_name
from splat_operator.decide.kernels import kernel_plan
from splat_operator.decide.reasons import MEANINGS, Meaning, Reason
from splat_operator.decide.waiting import podless_job

__all__ = [
    "MEANINGS",
    "Action",
    "CreateJob",
    "CreateWarmUp",
    "Decision",
    "DeleteJob",
    "Event",
    "Meaning",
    "Reason",
    "RedoWarmUp",
    "UpdateJob",
    "decide",
    "is_job_name",
    "job_name",
    "kernel_plan",
    "podless_job",
]
