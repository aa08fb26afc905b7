"""The trained splat as a file that other programs open."""

from pathlib import Path

import numpy as np

from splat_trainer.capture.scene import Scene
from splat_trainer.contract.config import Frame
from splat_trainer.gaussians.gaussians import Gaussians
from splat_trainer.gaussians.ply import write_ply
from splat_trainer.gaussians.transform import transform
from splat_trainer.train.outcome import ExportSummary


def export(gaussians: Gaussians, scene: Scene, path: Path, *, frame: Frame) -> ExportSummary:
    """Write a PLY in the capture's own frame, or in the normalised one as it was trained."""
    moved = gaussians.detach()
    if frame == "capture":
        moved = transform(moved, np.linalg.inv(scene.normalized_from_capture).astype(np.float64))
    written = write_ply(moved, path)
    return ExportSummary(path, written.gaussians, written.dropped, written.bytes)
