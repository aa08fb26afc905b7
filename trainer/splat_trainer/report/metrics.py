"""What a run measured: the document written to `metrics.json`."""

from pydantic import Field

from splat_trainer.contract.model import Document
from splat_trainer.report.machine import Machine, Versions


class ViewScore(Document):
    """How well one held-out view is rendered: PSNR in dB, SSIM of Wang et al. 2004."""

    name: str
    psnr: float
    ssim: float


class Seconds(Document):
    """Wall-clock seconds of this process, by what they were spent on; they do not overlap."""

    start: float = Field(description="From process start to the command.")
    fetch: float = Field(description="Getting the capture: near zero for a local folder.")
    load: float = Field(description="Reading, undistorting and normalising the capture.")
    prepare: float = Field(
        description="From the loaded capture to the first step: what was waited for of PyTorch and "
        "the kernels, which are made ready while the capture loads; upload of the images; initial "
        "Gaussians."
    )
    train: float = Field(description="The training loop alone.")
    evaluate: float
    checkpoint: float
    export: float = Field(description="Writing the splat.")


class CaptureFacts(Document):
    """What was trained on."""

    source: str
    train_views: int
    test_views: int
    points: int = Field(description="Sparse points of the COLMAP model.")
    width: int = Field(description="Of the first image as trained, in pixels.")
    height: int
    lens: str | None = Field(
        None, description="Of the lens fitted to the tracks; null where none was asked for."
    )
    missing_images: int | None = Field(
        None,
        description="Images of the model that were left out, since they had no file or could not "
        "be decoded; null where nobody counted.",
    )
    normalized_from_capture: tuple[tuple[float, ...], ...] = Field(
        description="Rows of the 4x4 similarity from the capture's frame to the normalized one."
    )


class Metrics(Document):
    """All that a finished run measured."""

    psnr: float | None = Field(description="Mean over held-out views, in dB; null without any.")
    ssim: float | None = Field(description="Mean over held-out views; null without any.")
    gaussians: int
    dropped_gaussians: int = Field(description="Not exported, since they held NaN or infinity.")
    iterations: int
    iterations_per_second: float
    seconds: Seconds
    peak_gpu_memory_bytes: int | None = Field(description="Of the first GPU.")
    gpus: int = Field(1, description="Processes that trained together, each on a GPU of its own.")
    peak_host_memory_bytes: int
    capture: CaptureFacts
    machine: Machine
    versions: Versions
    views: tuple[ViewScore, ...]
