"""A real capture, downscaled, trains to a PLY on the CPU."""

from pathlib import Path

import numpy as np
import pytest
from plyfile import PlyData

from splat_trainer.capture.load import load_scene
from splat_trainer.contract import TrainConfig
from splat_trainer.train.export import export
from splat_trainer.train.loop import train
from tests.unit.train.test_loop import Recorder

FERN = Path(__file__).parents[4] / "shared" / "data" / "fern"


@pytest.mark.skipif(not FERN.is_dir(), reason="../shared/data/fern is not here")
def test_fern_trains_to_a_ply_in_its_own_frame(tmp_path: Path) -> None:
    config = TrainConfig(iterations=60, max_side=64, device="cpu", sh_degree=1)
    scene = load_scene(FERN, config)
    outcome = train(scene, config, work_dir=tmp_path, observer=Recorder())
    assert outcome.evaluation is not None
    psnrs = [point.psnr for point in outcome.curve if point.psnr is not None]
    assert outcome.evaluation.psnr > psnrs[0] + 3
    export(outcome.gaussians, scene, tmp_path / "fern.ply", frame="capture")
    vertex = PlyData.read(tmp_path / "fern.ply")["vertex"]
    written = np.stack([vertex["x"], vertex["y"], vertex["z"]], axis=1)
    capture_from_normalized = np.linalg.inv(scene.normalized_from_capture)
    points = scene.points @ capture_from_normalized[:3, :3].T + capture_from_normalized[:3, 3]
    # Most Gaussians are still near the points that they grew from, in the capture's frame.
    assert np.allclose(
        np.median(written, axis=0), np.median(points, axis=0), atol=0.2 * np.std(points)
    )
