"""When a running training reads its loss, and what it tells then."""

import time
from collections import deque

import torch

from splat_trainer.contract import ProgressDocument, Stage
from splat_trainer.train.observer import CurvePoint, TrainObserver

_INTERVAL = 0.5
"""Seconds between two reports: reading the loss makes the host wait for the GPU."""

_SPEED_WINDOW = 5.0
"""Seconds over which speed is told: shorter, and the remaining time jumps about."""

_CURVE_POINTS = 400
"""A run's curve has about this many points at most."""


class ProgressMeter:
    """Reports to an observer about twice a second, and keeps the curve."""

    def __init__(
        self,
        observer: TrainObserver,
        iterations: int,
        device: torch.device,
        *,
        step: int,
        curve: tuple[CurvePoint, ...],
    ) -> None:
        self._observer = observer
        self._iterations = iterations
        self._device = device
        self._psnr: float | None = next((p.psnr for p in reversed(curve) if p.psnr), None)
        self._psnr_for_curve: float | None = None
        self._last_time = time.monotonic()
        # Reports of the last seconds, as (time, step). The first step is not among them: it
        # warms up what the others find warm.
        self._recent: deque[tuple[float, int]] = deque()
        self._first_step = step + 1
        self._speed: float | None = None
        self.curve = list(curve)

    def due(self, step: int) -> bool:
        """Whether it is time to report after this step."""
        if step == self._first_step:
            return True
        return time.monotonic() - self._last_time >= _INTERVAL or step == self._iterations

    def resume(self, step: int) -> None:
        """Go on after a pause, which is not to count as slow steps."""
        self._recent.clear()
        self._recent.append((time.monotonic(), step))

    def report(self, step: int, loss: float, gaussians: int, seconds: float) -> None:
        """Tell the observer where the training is."""
        speed = self._speed_at(step)
        spacing = self._iterations / _CURVE_POINTS
        psnr, self._psnr_for_curve = self._psnr_for_curve, None
        if psnr or not self.curve or step - self.curve[-1].iteration >= spacing:
            self.curve.append(CurvePoint(step, seconds, loss, gaussians, psnr))
        memory = torch.cuda.memory_allocated(self._device) if self._device.type == "cuda" else None
        self._observer.progress(
            ProgressDocument(
                stage=Stage.TRAINING,
                iteration=step,
                iterations=self._iterations,
                iterations_per_second=speed,
                eta_seconds=(self._iterations - step) / speed if speed else None,
                loss=loss,
                psnr=self._psnr,
                gaussians=gaussians,
                gpu_memory_bytes=memory,
            )
        )

    def _speed_at(self, step: int) -> float | None:
        """Steps per second over the window that ends now; None until there is one."""
        now = self._last_time = time.monotonic()
        self._recent.append((now, step))
        while len(self._recent) > 2 and now - self._recent[0][0] > _SPEED_WINDOW:
            self._recent.popleft()
        since, first = self._recent[0]
        if now > since and step > first:
            self._speed = (step - first) / (now - since)
        return self._speed

    def measured(self, psnr: float) -> None:
        """Show a measured PSNR from the next report on, and put it on the curve there."""
        self._psnr = self._psnr_for_curve = psnr
