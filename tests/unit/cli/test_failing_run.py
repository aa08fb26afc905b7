"""A run that fails on its way says where its last checkpoint is."""

import json
from pathlib import Path

import pytest
from torch import Tensor

from splat_trainer.capture.synthetic import make_synthetic_capture
from splat_trainer.cli.main import main
from splat_trainer.contract import ExitCode
from splat_trainer.train.training import Training


def test_a_run_that_fails_names_its_last_checkpoint_and_can_go_on_from_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_synthetic_capture(tmp_path / "capture", views=6, size=32)
    monkeypatch.setenv("SPLAT_RESULT_PATH", str(tmp_path / "message"))
    arguments = ["train", "--data", str(tmp_path / "capture"), "--output", str(tmp_path / "out")]
    arguments += ["--iterations=12", "--checkpoint-interval=4", "--device=cpu", "--progress=none"]
    advance = Training.advance

    def breaks(training: Training) -> Tensor:
        if training.step == 10:
            raise RuntimeError("the ground gave way")
        return advance(training)

    with monkeypatch.context() as patch:
        patch.setattr(Training, "advance", breaks)
        assert main(arguments) == ExitCode.BUG
    result = json.loads((tmp_path / "message").read_text())
    assert result["outcome"] == "Failed"
    assert result["checkpoint"]["iteration"] == 8
    assert Path(result["checkpoint"]["uri"]).is_file()

    assert main([*arguments, "--resume"]) == ExitCode.DONE
    result = json.loads((tmp_path / "message").read_text())
    assert result["outcome"] == "Succeeded"
    assert result["iterations"] == 12


def test_a_run_that_fails_before_any_checkpoint_names_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_synthetic_capture(tmp_path / "capture", views=6, size=32)
    monkeypatch.setenv("SPLAT_RESULT_PATH", str(tmp_path / "message"))

    def breaks(training: Training) -> Tensor:
        raise RuntimeError("the ground gave way")

    monkeypatch.setattr(Training, "advance", breaks)
    arguments = ["train", "--data", str(tmp_path / "capture"), "--output", str(tmp_path / "out")]
    arguments += ["--iterations=12", "--checkpoint-interval=4", "--device=cpu", "--progress=none"]
    assert main(arguments) == ExitCode.BUG
    assert "checkpoint" not in json.loads((tmp_path / "message").read_text())
