"""What a training and an evaluation give back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from splat_trainer.capture.scene import View
from splat_trainer.train.observer import CurvePoint

if TYPE_CHECKING:  # whoever loads a capture does not wait for PyTorch
    from splat_trainer.gaussians.gaussians import Gaussians

RenderSink = Callable[[View, NDArray[np.uint8]], None]
"""Gets every held-out view with its render, [H, W, 3] uint8, as it is evaluated."""


@dataclass(frozen=True)
class ViewMetrics:
    """How well one view is rendered: PSNR in dB, SSIM of Wang et al. 2004."""

    name: str
    psnr: float
    ssim: float


@dataclass(frozen=True)
class Evaluation:
    """Means over the views, and every view's own figures."""

    psnr: float
    ssim: float
    views: tuple[ViewMetrics, ...]


@dataclass(frozen=True)
class Timings:
    """Seconds by what they were spent on; they do not overlap.

    `prepare` is all before the first step: upload of images, initial Gaussians, and kernels
    that nobody has made ready before.
    `train` is the loop alone, without evaluations and checkpoints.
    """

    prepare: float
    train: float
    evaluate: float
    checkpoint: float


@dataclass(frozen=True)
class TrainOutcome:
    """What a training made, whether it went to its end or was interrupted.

    `gaussians` are in the normalised world. `iterations` counts all finished steps, those
    before a resume included; `timings` and `iterations_per_second` are of this process alone.
    `evaluation` is None after an interruption and where no view is held out. `checkpoint` is
    the newest one written. `gpu` is the GPU's name, None on the CPU; `gpus` is how many processes
    trained together, of which each had one.
    """

    gaussians: Gaussians
    iterations: int
    interrupted: bool
    evaluation: Evaluation | None
    curve: tuple[CurvePoint, ...]
    timings: Timings
    iterations_per_second: float
    checkpoint: Path | None
    gpu: str | None
    peak_gpu_memory_bytes: int | None
    gpus: int = 1


@dataclass(frozen=True)
class ExportSummary:
    """What was written to a PLY; `dropped` rows held NaN or infinity."""

    path: Path
    gaussians: int
    dropped: int
    bytes: int
