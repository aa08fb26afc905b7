"""--checkpoints: they are kept in a place of their own, and a run goes on from there."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from torch import Tensor

from splat_trainer.capture.synthetic import make_synthetic_capture
from splat_trainer.cli.main import main
from splat_trainer.contract import CheckpointRef, ExitCode, ProgressDocument, Stage
from splat_trainer.contract.environment import Place
from splat_trainer.train.training import Training
from tests.s3_server import S3Server, s3_server

Attempt = Callable[..., tuple[int, list[int]]]


@pytest.fixture
def attempt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Attempt:
    """Trains with --resume; gives the exit code, and the steps that were made."""
    make_synthetic_capture(tmp_path / "capture", views=6, size=32)
    arguments = ["train", "--data", str(tmp_path / "capture"), "--output", str(tmp_path / "out")]
    arguments += ["--iterations=12", "--device=cpu", "--progress=none", "--resume"]
    advance = Training.advance

    def run(place: object, *more: str, until: int = 99) -> tuple[int, list[int]]:
        steps: list[int] = []

        def step(training: Training) -> Tensor:
            if training.step == until:
                raise RuntimeError("the ground gave way")
            steps.append(training.step)
            return advance(training)

        with monkeypatch.context() as patch:
            patch.setattr(Training, "advance", step)
            return main([*arguments, "--checkpoints", str(place), *more]), steps

    return run


def result(tmp_path: Path) -> dict[str, object]:
    document: dict[str, object] = json.loads((tmp_path / "out" / "result.json").read_text())
    return document


def test_a_run_goes_on_from_a_folder_of_its_own(attempt: Attempt, tmp_path: Path) -> None:
    fast = tmp_path / "fast"
    assert attempt(fast, "--checkpoint-interval=4", until=10)[0] == ExitCode.BUG
    kept = fast / "checkpoint_0000008.pt"
    assert result(tmp_path)["checkpoint"] == {"iteration": 8, "uri": str(kept)}
    assert not (tmp_path / "out" / "checkpoints").exists()
    assert attempt(fast, "--checkpoint-interval=4") == (ExitCode.DONE, [8, 9, 10, 11])


def documents(capsys: pytest.CaptureFixture[str]) -> list[ProgressDocument]:
    lines = capsys.readouterr().out.splitlines()
    return [ProgressDocument.model_validate_json(line) for line in lines]


def test_a_run_tells_which_checkpoint_is_kept_from_that_which_it_goes_on_from_to_its_last(
    attempt: Attempt, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fast = tmp_path / "fast"
    attempt(fast, "--checkpoint-interval=4", "--progress=lines", until=6)
    assert all(one.checkpoint is None for one in documents(capsys) if one.stage != Stage.TRAINING)
    attempt(fast, "--checkpoint-interval=4", "--progress=lines")
    told = documents(capsys)
    training = next(one for one in told if one.stage is Stage.TRAINING)
    kept = CheckpointRef(iteration=4, uri=str(fast / "checkpoint_0000004.pt"))
    assert training.checkpoint == kept
    last = CheckpointRef(iteration=8, uri=str(fast / "checkpoint_0000008.pt"))
    assert told[-1].checkpoint == last
    assert {one.checkpoint for one in told} == {None, kept, last}


def test_what_is_none_of_its_checkpoints_stays_in_that_folder(
    attempt: Attempt, tmp_path: Path
) -> None:
    fast = tmp_path / "fast"
    attempt(fast, "--checkpoint-interval=4", until=10)
    others = {"notes.txt", "checkpoint_best.pt", "checkpoint_0000008.pt.bak"}
    for name in others:
        (fast / name).write_text("somebody's")
    assert attempt(fast) == (ExitCode.DONE, [8, 9, 10, 11])  # and removes them, without interval
    assert {path.name for path in fast.iterdir()} == others


def test_a_place_that_cannot_be_written_is_found_before_anything_else(
    attempt: Attempt, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    taken = tmp_path / "taken"
    taken.write_text("a file")
    assert attempt(taken) == (ExitCode.CONFIG, [])
    assert str(taken) in capsys.readouterr().err


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with s3_server(tmp_path_factory.mktemp("s3")) as running:
        (running.root / "scratch").mkdir()
        yield running


@pytest.fixture
def own_store(server: S3Server, monkeypatch: pytest.MonkeyPatch) -> S3Server:
    """A store of which only the checkpoints' own variables tell."""
    for name, value in server.environment.items():
        own = name.startswith("AWS_ACCESS") or name.endswith(("SECRET_ACCESS_KEY", "URL_S3"))
        monkeypatch.setenv(Place.CHECKPOINTS.variable(name) if own else name, value)
    return server


def test_a_run_goes_on_from_a_bucket_while_its_output_is_a_folder(
    attempt: Attempt, own_store: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPLAT_RUN_ID", "mine")
    place = "s3://scratch/runs/one"
    assert attempt(place, "--checkpoint-interval=4", until=10)[0] == ExitCode.BUG
    kept = {path.name for path in (own_store.root / "scratch/runs/one").iterdir()}
    assert kept == {"checkpoint_0000008.pt", "run_id.txt"}
    uri = f"{place}/checkpoint_0000008.pt"
    assert result(tmp_path)["checkpoint"] == {"iteration": 8, "uri": uri}
    assert attempt(place) == (ExitCode.DONE, [8, 9, 10, 11])
    assert {path.name for path in (own_store.root / "scratch/runs/one").iterdir()} == {"run_id.txt"}
    assert not (tmp_path / "out" / "checkpoints").exists()


def test_one_in_a_bucket_is_told_of_by_the_run_that_goes_on_from_it(
    attempt: Attempt, own_store: S3Server, capsys: pytest.CaptureFixture[str]
) -> None:
    attempt("s3://scratch/runs/told", "--checkpoint-interval=4", until=10)
    attempt("s3://scratch/runs/told", "--progress=lines")
    uri = "s3://scratch/runs/told/checkpoint_0000008.pt"
    training = next(one for one in documents(capsys) if one.stage is Stage.TRAINING)
    assert training.checkpoint == CheckpointRef(iteration=8, uri=uri)


def test_a_strangers_checkpoints_there_are_not_gone_on_from(
    attempt: Attempt, own_store: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = "s3://scratch/runs/two"
    monkeypatch.setenv("SPLAT_RUN_ID", "theirs")
    attempt(place, "--checkpoint-interval=4", until=10)
    monkeypatch.setenv("SPLAT_RUN_ID", "mine")
    assert attempt(place) == (ExitCode.DONE, list(range(12)))
