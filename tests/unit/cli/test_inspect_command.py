"""What `splat-trainer inspect` prints of a capture."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pycolmap
import pytest
from PIL import Image

from splat_trainer.capture.load import load_scene
from splat_trainer.capture.synthetic import make_synthetic_capture
from splat_trainer.cli.main import main
from splat_trainer.contract import ExitCode, TrainConfig
from splat_trainer.contract.presets import PRESETS
from splat_trainer.optimize.growth_plan import count_cap
from splat_trainer.optimize.schedule import schedule_for
from splat_trainer.train.training import capture_size
from tests.unit.capture.small_model import CAMERA, FISHEYE, points, posed, write_small_capture


def test_the_gaussians_of_each_preset_are_those_that_it_trains_to(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_synthetic_capture(tmp_path, views=16, size=48)
    assert main(["inspect", "--data", str(tmp_path), "--json"]) == ExitCode.DONE
    told = {needs["preset"]: needs for needs in json.loads(capsys.readouterr().out)["presets"]}
    assert list(told) == list(PRESETS)
    for preset in PRESETS:
        config = TrainConfig(preset=preset)
        size = capture_size(load_scene(tmp_path, config))
        assert told[preset]["gaussians"] == count_cap(config, schedule_for(config), size)
    assert told["reference"]["gpuBytes"] is None
    assert told["quality"]["gpuBytes"] > told["balanced"]["gpuBytes"] > 0


@pytest.mark.parametrize("line", ["EQUIRECTANGULAR 32 24 32 24", "FOV 32 24 30 30 16 12 9"])
def test_a_camera_that_cannot_be_undistorted_has_no_size_of_none(
    line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_small_capture(tmp_path, sparse=replace(points(), errors=np.full(20, np.inf)))
    model = tmp_path / "sparse" / "0"
    pycolmap.Reconstruction(model).write_text(model)
    for path in model.glob("*.bin"):
        path.unlink()
    (model / "cameras.txt").write_text(f"1 {line}\n")
    assert main(["inspect", "--data", str(tmp_path)]) == ExitCode.DONE
    told = capsys.readouterr().out
    assert f"{line.partition(' ')[0]} 32x24: 1 for 3 images, which cannot be undistorted\n" in told
    assert "None" not in told
    assert "inf" not in told


def test_masks_of_some_images_are_a_notice(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_synthetic_capture(tmp_path, views=4, size=48)
    (tmp_path / "masks").mkdir()
    Image.new("L", (48, 48), 255).save(tmp_path / "masks" / "view_002.png")
    assert main(["inspect", "--data", str(tmp_path)]) == ExitCode.DONE
    told = capsys.readouterr().out
    assert "notice    3 of 4 images, 'view_001.png' first, find no mask" in told


def test_gaussians_are_those_of_undistorted_images(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A fisheye's become several times as large, and with them what a preset grows to."""
    images = tuple(posed(i) for i in range(1, 17))
    write_small_capture(tmp_path, camera=FISHEYE, images=images, sparse=points(300))
    for image in images[3:]:
        shutil.copy(tmp_path / "images" / "1.png", tmp_path / "images" / image.name)
    assert main(["inspect", "--data", str(tmp_path), "--json"]) == ExitCode.DONE
    told = json.loads(capsys.readouterr().out)
    config = TrainConfig(preset="balanced")
    size = capture_size(load_scene(tmp_path, config))
    assert told["presets"][0]["gaussians"] == count_cap(config, schedule_for(config), size)
    assert told["largestPixels"] == size.pixels // size.views > 2 * CAMERA.width * CAMERA.height


def test_a_preset_is_a_line_to_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_synthetic_capture(tmp_path, views=16, size=48)
    assert main(["inspect", "--data", str(tmp_path)]) == ExitCode.DONE
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("preset")]
    assert len(lines) == len(PRESETS)
    assert "balanced: about 1," in lines[0]
    assert lines[0].endswith("GiB of GPU memory")
