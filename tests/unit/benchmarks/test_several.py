"""The benchmarks of several trainings, with trainings on the CPU of a few steps."""

import json
import sys
from pathlib import Path

import pytest

from benchmarks import multi_gpu, several
from splat_trainer.capture.synthetic import make_synthetic_capture

FEW = ["--", "--device", "cpu", "--iterations", "4"]


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    make_synthetic_capture(tmp_path / "capture", views=4, size=32)
    return tmp_path / "capture"


def test_trainings_at_once_are_measured_and_counted(
    capture: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "rows.json"
    ours = ["several", str(capture), "--at-once", "2", "--trainings", "2", "--json", str(file)]
    monkeypatch.setattr(sys, "argv", [*ours, *FEW])
    several.main()
    (row,) = json.loads(file.read_text())["rows"]
    assert (row["at once"], row["trainings"], row["failed"]) == (2, 2, 0)
    assert row["each s"] <= row["all s"]
    assert row["scenes/h"] == pytest.approx(7200 / row["all s"])
    assert row["PSNR"] > 5
    assert "| 2 | 2 | 0 |" in capsys.readouterr().out


def test_a_training_that_fails_is_no_scene(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    nowhere = str(tmp_path / "nowhere")
    arguments = ["several", nowhere, "--at-once", "1", "--trainings", "1", *FEW]
    monkeypatch.setattr(sys, "argv", arguments)
    with pytest.raises(SystemExit):
        several.main()
    told = capsys.readouterr().out
    assert "| 1 | 1 | 1 |" in told
    assert "nowhere is not there" in told


def test_what_each_count_gives_is_told_beside_the_first() -> None:
    rows = several.with_factors([{"scenes/h": 40.0}, {"scenes/h": 60.0}])
    assert [row["x"] for row in rows] == [1, 1.5]
    rows = multi_gpu.with_speedups(
        [
            {"scene": "a", "train": 30.0},
            {"scene": "a", "train": 20.0},
            {"scene": "b", "train": 10.0},
        ]
    )
    assert [row["x"] for row in rows] == [1, 1.5, 1]


def test_one_scene_in_two_processes_is_measured(
    capture: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["multi_gpu", str(capture), "--gpus", "2", *FEW])
    multi_gpu.main()
    assert "| capture | 2 | 1 |" in capsys.readouterr().out


def test_options_of_the_trainer_come_after_two_dashes() -> None:
    assert several.split(["a", "--", "--iterations", "7"]) == (["a"], ["--iterations", "7"])
    assert several.split(["a"]) == (["a"], [])
