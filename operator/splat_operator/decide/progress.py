"""`status.progress`: as the trainer reports it, and as it stands when all is over."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from splat_operator.api import Phase
from splat_operator.decide.ending import result_of
from splat_operator.decide.shown import shown_count, shown_duration, shown_number, shown_time
from splat_operator.world import Pod
from splat_trainer.contract import ProgressDocument

DONE = "Done"


def reported(document: ProgressDocument, now: datetime) -> dict[str, Any]:
    """Give `status.progress` of a running training, from what its trainer posted."""
    iteration, iterations = shown_count(document.iteration), shown_count(document.iterations)
    shown = {
        "stage": document.stage.value,
        "percent": _percent(iteration or 0, iterations or 0),
        "iteration": iteration,
        "iterations": iterations,
        "iterationsPerSecond": _speed(document.iterations_per_second),
        "etaSeconds": shown_count(document.eta_seconds),
        "eta": shown_duration(document.eta_seconds),
        "loss": shown_number(document.loss, 5),
        "psnr": shown_number(document.psnr, 2),
        "gaussians": shown_count(document.gaussians),
        "gpuMemoryBytes": shown_count(document.gpu_memory_bytes),
        "lastUpdated": shown_time(now),
    }
    return {name: value for name, value in shown.items() if value is not None}


def at_the_end(phase: Phase, pod: Pod | None, written: Mapping[str, Any]) -> dict[str, Any] | None:
    """Give `status.progress` of a training that has ended; None where there is none to give.

    A good end is told from the result, so that the columns are right though nobody listened
    to the trainer. A bad one keeps what was reported last, but promises nothing any more.
    """
    if phase is not Phase.SUCCEEDED:
        return {**written, "etaSeconds": 0, "eta": ""} if written else None
    result = result_of(pod)
    iterations = shown_count(result.iterations) if result else None
    if result is None or iterations is None:
        return {**written, "stage": DONE, "etaSeconds": 0, "eta": "0s"} if written else None
    speed = iterations / result.train_seconds if result.train_seconds else None
    shown = {
        **written,
        "stage": DONE,
        "percent": _percent(iterations, iterations),
        "iteration": iterations,
        "iterations": iterations,
        "iterationsPerSecond": _speed(speed) or written.get("iterationsPerSecond"),
        "etaSeconds": 0,
        "eta": "0s",
        "psnr": shown_number(result.psnr, 2) or written.get("psnr"),
        "gaussians": shown_count(result.gaussians) or written.get("gaussians"),
    }
    return {name: value for name, value in shown.items() if value is not None}


def _percent(iteration: int, iterations: int) -> str:
    if iterations <= 0:
        return "0%"
    return f"{min(100, 100 * iteration // iterations)}%"


def _speed(value: float | None) -> str | None:
    """Three digits or so are all that a speed is worth."""
    if value is None:
        return None
    return shown_number(value, 2 if value < 10 else 1 if value < 1000 else 0)
