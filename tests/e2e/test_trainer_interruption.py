"""Stopped in the middle, gone on later."""

import signal
from pathlib import Path

import pytest

from splat_trainer.capture.synthetic.make import make_synthetic_capture
from splat_trainer.contract import ExitCode, Outcome, Reason
from tests.e2e.trainer import progress_of, result_in, run, start


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("interruption") / "capture"
    make_synthetic_capture(folder, views=10, size=48)
    return folder


def train(capture: Path, output: Path, *more: str, iterations: int = 100_000) -> list[str | Path]:
    return [
        "train", "--data", capture, "--output", output, "--device", "cpu",
        "--iterations", str(iterations), "--densify-until-iteration", "0", *more,
    ]  # fmt: skip


def interrupt_in_training(capture: Path, output: Path, told: Path) -> int:
    """Train until steps are told, send SIGTERM, and give the exit code."""
    with start(*train(capture, output), result=told) as process:
        assert process.stdout
        for line in process.stdout:
            if progress_of(line)[0].iteration > 0:
                break
        process.send_signal(signal.SIGTERM)
        _, stderr = process.communicate(timeout=120)
    assert stderr.splitlines()[-1].startswith("splat-trainer: error: stopped by SIGTERM at step")
    assert "Traceback" not in stderr
    return process.returncode


def test_sigterm_leaves_a_checkpoint_from_which_the_run_goes_on(
    capture: Path, tmp_path: Path
) -> None:
    output, told = tmp_path / "out", tmp_path / "termination-log"
    assert interrupt_in_training(capture, output, told) == ExitCode.INTERRUPTED

    result = result_in(told)
    assert (result.outcome, result.reason) == (Outcome.INTERRUPTED, Reason.INTERRUPTED)
    assert result == result_in(output / "result.json")
    assert result.checkpoint is not None
    assert result.checkpoint.iteration == result.iterations
    assert Path(result.checkpoint.uri).is_file()
    assert not (output / "point_cloud.ply").exists()

    goal = result.checkpoint.iteration + 5
    process = run(*train(capture, output, "--resume", iterations=goal), result=told)
    assert process.returncode == ExitCode.DONE, process.stderr
    assert f"going on from {Path(result.checkpoint.uri).name}" in process.stderr
    in_training = [d.iteration for d in progress_of(process.stdout) if d.loss is not None]
    assert min(in_training) > result.checkpoint.iteration
    assert result_in(told).iterations == goal
    assert (output / "point_cloud.ply").is_file()
    assert not list((output / "checkpoints").glob("*"))


def test_without_resume_an_old_checkpoint_is_neither_used_nor_kept(
    capture: Path, tmp_path: Path
) -> None:
    output, told = tmp_path / "out", tmp_path / "termination-log"
    interrupt_in_training(capture, output, told)
    process = run(*train(capture, output, "--checkpoint-interval", "4", iterations=5))
    assert process.returncode == ExitCode.DONE, process.stderr
    assert "going on" not in process.stderr
    assert [p.name for p in (output / "checkpoints").iterdir()] == ["checkpoint_0000004.pt"]


def test_resume_without_a_checkpoint_starts_anew(capture: Path, tmp_path: Path) -> None:
    process = run(*train(capture, tmp_path, "--resume", iterations=3))
    assert process.returncode == ExitCode.DONE, process.stderr
    assert "starting anew" in process.stderr


def test_sigterm_before_the_first_step_ends_at_once(capture: Path, tmp_path: Path) -> None:
    with start(*train(capture, tmp_path)) as process:
        assert process.stdout
        process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=120)
    assert process.returncode == ExitCode.INTERRUPTED
    assert result_in(tmp_path / "result.json").outcome is Outcome.INTERRUPTED
