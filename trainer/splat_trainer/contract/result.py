"""The result document: how a run ended, in at most 4 KiB.

A pod writes it to its termination message, so that it outlives the pod's process and
needs no network; Kubernetes cuts that message at 4096 bytes.
"""

from enum import StrEnum

from pydantic import Field

from splat_trainer.contract.exit_codes import ExitCode
from splat_trainer.contract.kernels_use import KernelsUse
from splat_trainer.contract.model import Document

RESULT_LIMIT_BYTES = 4096


class Outcome(StrEnum):
    """How a run ended, in a word."""

    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    INTERRUPTED = "Interrupted"


class Reason(StrEnum):
    """Why a run ended as it did: the reasons that the trainer itself can know."""

    TRAINED = "Trained"
    INTERRUPTED = "Interrupted"
    INVALID_CAPTURE = "InvalidCapture"
    CAPTURE_NOT_FOUND = "CaptureNotFound"
    INVALID_CONFIGURATION = "InvalidConfiguration"
    STORAGE_UNAVAILABLE = "StorageUnavailable"
    STORAGE_DENIED = "StorageDenied"
    OUT_OF_GPU_MEMORY = "OutOfGpuMemory"
    OUT_OF_MEMORY = "OutOfMemory"
    NO_GPU = "NoGpu"
    KERNELS_NOT_FOUND = "KernelsNotFound"
    KERNELS_NOT_COMPILED = "KernelsNotCompiled"
    INTERNAL_ERROR = "InternalError"


class OutputFile(Document):
    """A file that a run wrote."""

    format: str = Field(
        description="What the file is: ply or another format of the splat, metrics, report, "
        "previews, checkpoint."
    )
    uri: str
    bytes: int = Field(ge=0)
    sha256: str | None = None


class CheckpointRef(Document):
    """The newest checkpoint from which the run can go on."""

    iteration: int = Field(ge=0)
    uri: str


class ResultDocument(Document):
    """How a run ended. Numbers are absent where the run did not get so far."""

    outcome: Outcome
    exit_code: ExitCode
    reason: Reason
    message: str = Field(description="One line: what, where, and what to do.")
    iterations: int | None = None
    gaussians: int | None = None
    psnr: float | None = Field(None, description="Mean over held-out views, in dB.")
    ssim: float | None = Field(None, description="Mean over held-out views.")
    train_seconds: float | None = Field(None, description="Of the training loop alone.")
    total_seconds: float | None = Field(None, description="From process start to this document.")
    peak_gpu_memory_bytes: int | None = None
    gpu: str | None = Field(None, description="The GPU's name; absent on a CPU.")
    kernels: KernelsUse | None = Field(None, description="Absent on a CPU, which needs none.")
    outputs: tuple[OutputFile, ...] = ()
    checkpoint: CheckpointRef | None = None

    def to_json(self, limit: int = RESULT_LIMIT_BYTES) -> str:
        """Serialise within `limit` bytes: the message is cut first, then outputs are dropped."""
        document = self
        while True:
            text = document.model_dump_json(exclude_none=True)
            over = len(text.encode()) - limit
            if over <= 0:
                return text
            if len(document.message) > 200:
                keep = max(199, len(document.message) - over - 3)
                document = document.model_copy(update={"message": document.message[:keep] + "…"})
            elif document.outputs:
                document = document.model_copy(update={"outputs": document.outputs[:-1]})
            else:
                raise ValueError(f"a result document cannot be made to fit in {limit} bytes")
