"""The trained splat as files that other programs open."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from splat_trainer.capture.scene import Scene
from splat_trainer.contract import SplatFormat
from splat_trainer.contract.config import Frame
from splat_trainer.gaussians.formats.ply import write_ply
from splat_trainer.gaussians.formats.write import write_gaussians
from splat_trainer.gaussians.gaussians import Gaussians
from splat_trainer.gaussians.transform import transform
from splat_trainer.train.outcome import ExportSummary


def export(
    gaussians: Gaussians,
    scene: Scene,
    path: Path,
    *,
    frame: Frame,
    formats: Iterable[SplatFormat] = (),
) -> ExportSummary:
    """Write a PLY in the capture's own frame, or in the normalised one as it was trained.

    Files of the other `formats` stand beside it in the same frame, under their own names.
    """
    moved = gaussians.detach()
    if frame == "capture":
        moved = transform(moved, np.linalg.inv(scene.normalized_from_capture).astype(np.float64))
    written = write_ply(moved, path)
    for format in formats:
        if format is not SplatFormat.PLY:
            write_gaussians(moved, path.with_name(format.file_name), format)
    return ExportSummary(path, written.gaussians, written.dropped, written.bytes)
