"""What the trainer promises to whoever starts it: configuration, exit codes, documents.

Imports pydantic and nothing else, so that the operator can use it without torch.
"""

from splat_trainer.contract.config import TrainConfig
from splat_trainer.contract.exit_codes import ExitCode
from splat_trainer.contract.failure import TrainerError
from splat_trainer.contract.formats import SplatFormat
from splat_trainer.contract.kernels import KernelsDocument, KernelsOutcome
from splat_trainer.contract.kernels_use import KernelsSource, KernelsUse
from splat_trainer.contract.progress import PROGRESS_LIMIT_BYTES, ProgressDocument, Stage
from splat_trainer.contract.result import (
    CheckpointRef,
    Outcome,
    OutputFile,
    Reason,
    ResultDocument,
)

__all__ = [
    "PROGRESS_LIMIT_BYTES",
    "CheckpointRef",
    "ExitCode",
    "KernelsDocument",
    "KernelsOutcome",
    "KernelsSource",
    "KernelsUse",
    "Outcome",
    "OutputFile",
    "ProgressDocument",
    "Reason",
    "ResultDocument",
    "SplatFormat",
    "Stage",
    "TrainConfig",
    "TrainerError",
]
