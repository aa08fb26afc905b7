"""The progress document: where a run is, small enough to send every second."""

from enum import StrEnum

from pydantic import Field

from splat_trainer.contract.model import Document
from splat_trainer.contract.result import CheckpointRef

REPORT_AFTER_HEADER = "Report-After"
"""In the answer to a progress document: in how many seconds, a decimal number, the next one is
wanted. Who hears no such header reports every two seconds. A new stage need not wait for it."""

PROGRESS_LIMIT_BYTES = 4096
"""A document of more bytes is refused."""


class Stage(StrEnum):
    """What a run is doing."""

    FETCHING = "Fetching"
    LOADING = "Loading"
    COMPILING = "Compiling"
    TRAINING = "Training"
    EVALUATING = "Evaluating"
    EXPORTING = "Exporting"
    UPLOADING = "Uploading"


class ProgressDocument(Document):
    """Where a run is. `iteration` counts finished training steps."""

    stage: Stage
    iteration: int = Field(0, ge=0)
    iterations: int = Field(0, ge=0)
    iterations_per_second: float | None = Field(None, ge=0)
    eta_seconds: float | None = Field(None, ge=0)
    loss: float | None = None
    psnr: float | None = None
    gaussians: int | None = Field(None, ge=0)
    gpu_memory_bytes: int | None = Field(None, ge=0)
    bytes_done: int | None = Field(None, ge=0, description="Of the capture, while it is fetched.")
    bytes_total: int | None = Field(None, ge=0)
    checkpoint: CheckpointRef | None = Field(
        None,
        description="The newest that is safe where checkpoints are kept: a run that is lost now "
        "goes on from it.",
    )
