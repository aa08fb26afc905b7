"""What a training tells while it runs, and to whom."""

from dataclasses import dataclass
from typing import Protocol

from splat_trainer.contract import ProgressDocument, Stage


class TrainObserver(Protocol):
    """Someone who watches a training. No method may raise, block or be slow."""

    def stage(self, stage: Stage) -> None:
        """A new stage began."""

    def progress(self, document: ProgressDocument) -> None:
        """Where the training is; called about twice a second, never once a step."""


@dataclass(frozen=True)
class CurvePoint:
    """One sample of the training's curves, for the report."""

    iteration: int
    seconds: float
    loss: float
    gaussians: int
    psnr: float | None = None
