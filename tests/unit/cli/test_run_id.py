"""SPLAT_RUN_ID: a run over an old output does not go on from a stranger's checkpoint."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from torch import Tensor

from splat_trainer.capture.synthetic import make_synthetic_capture
from splat_trainer.cli.main import main
from splat_trainer.contract import ExitCode
from splat_trainer.train.training import Training

Attempt = Callable[..., tuple[int, list[int]]]


@pytest.fixture
def attempt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Attempt:
    """Trains with --resume; gives the exit code, and the steps that were made."""
    make_synthetic_capture(tmp_path / "capture", views=6, size=32)
    arguments = ["train", "--data", str(tmp_path / "capture"), "--output", str(tmp_path / "out")]
    arguments += ["--iterations=12", "--checkpoint-interval=4", "--device=cpu", "--progress=none"]
    advance = Training.advance

    def run(run_id: str, until: int = 99) -> tuple[int, list[int]]:
        steps: list[int] = []

        def step(training: Training) -> Tensor:
            if training.step == until:
                raise RuntimeError("the ground gave way")
            steps.append(training.step)
            return advance(training)

        with monkeypatch.context() as patch:
            patch.setattr(Training, "advance", step)
            patch.setenv("SPLAT_RUN_ID", run_id)
            return main([*arguments, "--resume"]), steps

    return run


def test_a_run_goes_on_from_its_own_checkpoint(attempt: Attempt) -> None:
    assert attempt("mine", until=10)[0] == ExitCode.BUG
    assert attempt("mine") == (ExitCode.DONE, [8, 9, 10, 11])


def test_a_run_starts_anew_where_a_strangers_checkpoint_lies(
    attempt: Attempt, tmp_path: Path
) -> None:
    assert attempt("theirs", until=10)[0] == ExitCode.BUG
    assert attempt("mine", until=6) == (ExitCode.BUG, list(range(6)))
    # And its own retry goes on from its own.
    assert attempt("mine") == (ExitCode.DONE, list(range(4, 12)))
    assert json.loads((tmp_path / "out" / "result.json").read_text())["outcome"] == "Succeeded"


def test_without_a_run_id_any_checkpoint_is_gone_on_from(attempt: Attempt) -> None:
    assert attempt("theirs", until=10)[0] == ExitCode.BUG
    assert attempt("") == (ExitCode.DONE, [8, 9, 10, 11])
