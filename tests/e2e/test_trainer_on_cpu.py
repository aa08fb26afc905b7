"""From a capture to a splat on a machine without a GPU."""

import hashlib
import json
from pathlib import Path

import gsply
import numpy as np
import pytest
from plyfile import PlyData

from splat_trainer.contract import ExitCode, Outcome, Reason, Stage
from splat_trainer.report.metrics import Metrics
from tests.e2e.trainer import SHARED_DATA, progress_of, result_in, run


def count_in_both_readers(path: Path) -> int:
    """Open a splat in two programs that are not ours; they must agree on what it holds."""
    vertex = PlyData.read(path)["vertex"]
    other = gsply.plyread(path)
    means = np.stack([vertex["x"], vertex["y"], vertex["z"]], axis=1)
    np.testing.assert_array_equal(np.asarray(other.means), means)
    assert np.isfinite(means).all()
    assert {f"f_rest_{i}" for i in range(45)} < set(vertex.data.dtype.names)
    return len(means)


def test_a_synthetic_capture_is_learned_to_25_db(tmp_path: Path) -> None:
    output, told = tmp_path / "out", tmp_path / "termination-log"
    told.touch()
    assert run("synth", "--output", tmp_path / "capture").returncode == 0
    process = run(
        "train", "--data", tmp_path / "capture", "--output", output,
        "--device", "cpu", "--iterations", "250",
        result=told,
    )  # fmt: skip
    assert process.returncode == ExitCode.DONE, process.stderr

    metrics = Metrics.model_validate_json((output / "metrics.json").read_text())
    assert metrics.psnr is not None
    assert metrics.psnr >= 25
    assert len(metrics.views) == 5
    assert metrics.machine.gpu is None
    assert count_in_both_readers(output / "point_cloud.ply") == metrics.gaussians

    assert len(list((output / "previews").iterdir())) == 5
    assert f"{metrics.psnr:.2f}" in (output / "report.html").read_text()

    result = result_in(told)
    assert result == result_in(output / "result.json")
    assert (result.outcome, result.reason) == (Outcome.SUCCEEDED, Reason.TRAINED)
    assert result.psnr == pytest.approx(metrics.psnr, abs=1e-3)
    ply = next(file for file in result.outputs if file.format == "ply")
    content = (output / "point_cloud.ply").read_bytes()
    assert (ply.bytes, ply.sha256) == (len(content), hashlib.sha256(content).hexdigest())

    documents = progress_of(process.stdout)
    stages = list(dict.fromkeys(document.stage for document in documents))
    assert stages == [
        Stage.FETCHING, Stage.LOADING, Stage.TRAINING, Stage.EVALUATING, Stage.EXPORTING,
    ]  # fmt: skip
    assert documents[0].iterations == 250
    steps = [document.iteration for document in documents]
    assert steps == sorted(steps)
    assert steps[-1] == 250

    measured = run(
        "eval", output / "point_cloud.ply", "--data", tmp_path / "capture",
        "--device", "cpu", "--json",
    )  # fmt: skip
    assert json.loads(measured.stdout)["psnr"] == pytest.approx(metrics.psnr, abs=0.01)


def test_a_real_capture_trains_to_a_splat_that_others_open(tmp_path: Path) -> None:
    if not (SHARED_DATA / "fern").is_dir():
        pytest.skip("the real captures are not on this machine (../shared/data)")
    process = run(
        "train", "--data", SHARED_DATA / "fern", "--output", tmp_path,
        "--device", "cpu", "--iterations", "150", "--max-side", "64", "--max-gaussians", "4000",
    )  # fmt: skip
    assert process.returncode == ExitCode.DONE, process.stderr
    result = result_in(tmp_path / "result.json")
    assert count_in_both_readers(tmp_path / "point_cloud.ply") == result.gaussians
    assert result.gaussians is not None
    assert result.gaussians <= 4_000
    assert result.psnr is not None
    assert result.psnr > 17


def test_a_splat_is_measured_through_the_lens_that_it_was_trained_with(tmp_path: Path) -> None:
    if not (SHARED_DATA / "bonsai").is_dir():
        pytest.skip("the real captures are not on this machine (../shared/data)")
    process = run(
        "train", "--data", SHARED_DATA / "bonsai", "--output", tmp_path, "--device", "cpu",
        "--preset", "fast", "--iterations", "3", "--max-side", "64", "--max-gaussians", "4000",
    )  # fmt: skip
    assert process.returncode == ExitCode.DONE, process.stderr
    psnr = result_in(tmp_path / "result.json").psnr
    assert psnr is not None

    def measured(*options: str) -> float:
        told = run(
            "eval", tmp_path / "point_cloud.ply", "--data", SHARED_DATA / "bonsai",
            "--device", "cpu", "--max-side", "64", "--json", *options,
        )  # fmt: skip
        return float(json.loads(told.stdout)["psnr"])

    assert measured() == pytest.approx(psnr, abs=1e-3)
    assert measured("--lens", "model") != pytest.approx(psnr, abs=1e-3)
