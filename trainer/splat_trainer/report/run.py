"""Everything that the report page shows, as plain values."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from splat_trainer.report.metrics import Metrics
from splat_trainer.report.previews import Preview


class CurveSample(Protocol):
    """One sample of the training's curves; `train.observer.CurvePoint` is one."""

    @property
    def iteration(self) -> int:
        """Finished training steps."""

    @property
    def loss(self) -> float:
        """Training loss."""

    @property
    def gaussians(self) -> int:
        """Number of Gaussians."""

    @property
    def psnr(self) -> float | None:
        """PSNR in dB, where it was measured."""


@dataclass(frozen=True)
class Setting:
    """A setting of the run, and whether it was left as it comes."""

    name: str
    value: str
    is_default: bool
    description: str


@dataclass(frozen=True)
class RunReport:
    """A finished run."""

    title: str
    finished_at: datetime
    metrics: Metrics
    settings: Sequence[Setting]
    curve: Sequence[CurveSample]
    previews: Sequence[Preview]
