"""A finished run as the report sees it, made up but consistent."""

import math
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np

from splat_trainer.report.machine import Machine, Versions
from splat_trainer.report.metrics import CaptureFacts, Metrics, Seconds, ViewScore
from splat_trainer.report.previews import Pixels, Preview, PreviewWriter
from splat_trainer.report.run import RunReport, Setting


@dataclass(frozen=True)
class Sample:
    iteration: int
    loss: float
    gaussians: int
    psnr: float | None


def photo(seed: int, height: int = 48, width: int = 64) -> Pixels:
    y, x = np.mgrid[0:height, 0:width]
    shade = np.stack((x * 255 / width, y * 255 / height, np.full_like(x, 40 * seed % 255)), -1)
    return shade.astype(np.uint8)


def metrics(**changes: Any) -> Metrics:
    values = {
        "psnr": 29.41,
        "ssim": 0.918,
        "gaussians": 1_204_512,
        "dropped_gaussians": 0,
        "iterations": 7_000,
        "iterations_per_second": 214.6,
        "seconds": Seconds(
            start=0.4,
            fetch=0.1,
            load=3.2,
            prepare=2.4,
            train=32.6,
            evaluate=1.2,
            checkpoint=0.0,
            export=1.9,
        ),
        "peak_gpu_memory_bytes": 2_540_000_000,
        "peak_host_memory_bytes": 1_900_000_000,
        "capture": CaptureFacts(
            source="s3://captures/bonsai",
            train_views=255,
            test_views=37,
            points=66_624,
            width=800,
            height=533,
            normalized_from_capture=((1.0, 0, 0, 0), (0, 1.0, 0, 0), (0, 0, 1.0, 0), (0, 0, 0, 1)),
        ),
        "machine": Machine(
            gpu="NVIDIA H200", cpu="Xeon", cpus=16, memory_bytes=1 << 37, system="Linux 6.1 x86_64"
        ),
        "versions": Versions(
            splat_trainer="0.1.0", python="3.12.3", torch="2.6.0", cuda="12.6", gsplat="1.5.3"
        ),
        "views": (
            ViewScore(name="IMG_0001.JPG", psnr=30.1, ssim=0.93),
            ViewScore(name="IMG_0009.JPG", psnr=28.72, ssim=0.906),
        ),
    }
    return Metrics.model_validate({**values, **changes})


def curve(steps: int = 7_000, every: int = 25) -> list[Sample]:
    return [
        Sample(
            iteration=step,
            loss=0.03 + 0.3 * math.exp(-step / 900) * (1 + 0.2 * math.sin(step)),
            gaussians=66_624 + min(step, 3_500) * 320,
            psnr=29.4 - 12 * math.exp(-step / 1500) if step % 1000 == 0 else None,
        )
        for step in range(every, steps + 1, every)
    ]


def previews(tmp_path: Any, photos: dict[str, Pixels]) -> tuple[Preview, ...]:
    writer = PreviewWriter(tmp_path, list(photos))
    for name, pixels in photos.items():
        writer.add(name, pixels, pixels)
    return writer.previews()


def run(tmp_path: Any, **changes: Any) -> RunReport:
    made = RunReport(
        title="bonsai",
        finished_at=datetime(2026, 3, 1, 14, 5, tzinfo=UTC),
        metrics=metrics(),
        settings=[
            Setting("iterations", "7000", False, "Training steps."),
            Setting("shDegree", "3", True, "Degree of the spherical harmonics."),
        ],
        curve=curve(),
        previews=previews(
            tmp_path / "previews", {"IMG_0001.JPG": photo(1), "IMG_0009.JPG": photo(2)}
        ),
    )
    return replace(made, **changes)
