import json
import logging
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from splat_trainer.cli.progress.choose import open_reporters
from splat_trainer.cli.progress.file import write_progress_file
from splat_trainer.cli.progress.json_lines import write_json_lines
from splat_trainer.cli.progress.reporter import Reporters
from splat_trainer.cli.progress.terminal import TerminalBar, duration, figures
from splat_trainer.cli.progress.throttle import Throttled
from splat_trainer.contract import (
    PROGRESS_LIMIT_BYTES,
    CheckpointRef,
    ProgressDocument,
    Stage,
    TrainerError,
)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class Told:
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.documents: list[tuple[ProgressDocument, bool]] = []
        self.closed = False

    def tell(self, document: ProgressDocument, stage_began: bool) -> None:
        self.documents.append((document, stage_began))

    def close(self) -> None:
        self.closed = True


class Raising(Told):
    def tell(self, document: ProgressDocument, stage_began: bool) -> None:
        super().tell(document, stage_began)
        raise BrokenPipeError("nobody reads")


def at(iteration: int, **more: float) -> ProgressDocument:
    return ProgressDocument.model_validate(
        {"stage": Stage.TRAINING, "iteration": iteration, "iterations": 100, **more}
    )


def test_what_is_known_is_carried_into_the_next_stage() -> None:
    told = Told()
    reporters = Reporters([told], iterations=100)
    reporters.stage(Stage.TRAINING)
    reporters.progress(at(100, psnr=30.0, iterations_per_second=50.0))
    reporters.stage(Stage.EVALUATING)
    document, began = told.documents[-1]
    assert began
    assert (document.stage, document.iteration, document.psnr) == (Stage.EVALUATING, 100, 30.0)
    assert document.iterations_per_second is None


def test_the_goal_is_known_before_training_begins() -> None:
    told = Told()
    Reporters([told], iterations=100).stage(Stage.FETCHING)
    assert told.documents[0][0].iterations == 100


def test_a_checkpoint_is_told_with_every_document_after_it_and_by_none_of_its_own() -> None:
    told = Told()
    reporters = Reporters([told])
    reporters.progress(at(40))
    kept = CheckpointRef(iteration=40, uri="s3://splats/garden/checkpoints/checkpoint_0000040.pt")
    reporters.checkpoint(kept)
    assert len(told.documents) == 1
    reporters.progress(at(41))
    reporters.stage(Stage.EVALUATING)
    assert [document.checkpoint for document, _ in told.documents] == [None, kept, kept]


@pytest.mark.parametrize("uri", ["/x/" + "é" * 1100, "/x/\udc80", "/x/\n"])
def test_an_address_that_would_keep_documents_from_arriving_is_not_told(uri: str) -> None:
    told = Told()
    reporters = Reporters([told])
    reporters.checkpoint(CheckpointRef(iteration=40, uri=uri))
    reporters.progress(at(41))
    assert told.documents[-1][0].checkpoint is None


def test_a_document_with_everything_in_it_is_not_refused_for_its_size() -> None:
    told = Told()
    reporters = Reporters([told])
    numbers = [
        name
        for name in ProgressDocument.model_fields
        if name not in ("stage", "checkpoint", "iteration", "iterations")
    ]
    most = dict.fromkeys(numbers, 2**63 - 1)
    reporters.checkpoint(CheckpointRef(iteration=2**63 - 1, uri="é" * 1000))
    reporters.progress(at(100, **most))
    sent = told.documents[-1][0].model_dump_json(exclude_none=True).encode()
    assert 2000 < len(sent) <= PROGRESS_LIMIT_BYTES


def test_the_bytes_that_came_are_told_while_the_capture_is_fetched_and_not_after() -> None:
    told = Told()
    reporters = Reporters([told])
    reporters.stage(Stage.FETCHING)
    reporters.fetched(1_000_000, 4_000_000)
    reporters.stage(Stage.LOADING)
    fetching, loading = (document for document, _ in told.documents[1:])
    assert (fetching.bytes_done, fetching.bytes_total) == (1_000_000, 4_000_000)
    assert (loading.bytes_done, loading.bytes_total) == (None, None)


def test_the_bar_shows_how_much_of_the_capture_has_come() -> None:
    console = Console(file=StringIO(), force_terminal=True, width=100)
    bar = TerminalBar(console)
    fetching = ProgressDocument(stage=Stage.FETCHING, bytes_done=12_500_000, bytes_total=29_500_000)
    bar.tell(fetching, True)
    bar.tell(fetching, False)
    bar.close()
    assert isinstance(console.file, StringIO)
    assert "12.5 of 29.5 MB" in console.file.getvalue()


def test_a_late_document_brings_no_old_stage_back() -> None:
    told = Told()
    reporters = Reporters([told])
    reporters.stage(Stage.EVALUATING)
    reporters.progress(at(100))
    assert [document.stage for document, _ in told.documents] == [Stage.EVALUATING] * 2


def test_a_reporter_that_raises_is_dropped_and_hurts_nobody(
    caplog: pytest.LogCaptureFixture,
) -> None:
    raising, told = Raising(), Told()
    reporters = Reporters([raising, told])
    with caplog.at_level(logging.WARNING):
        for iteration in range(3):
            reporters.progress(at(iteration))
        reporters.close()
    assert len(raising.documents) == 1
    assert len(told.documents) == 3
    assert told.closed
    assert len(caplog.records) == 1


def test_progress_is_held_back_but_its_last_is_told() -> None:
    written: list[int] = []
    clock = Clock()
    throttled = Throttled(lambda document: written.append(document.iteration), 1.0, clock)
    for iteration in range(10):
        clock.now = iteration * 0.4
        throttled.tell(at(iteration), stage_began=False)
    assert written == [0, 3, 6, 9]
    clock.now += 0.1
    throttled.tell(at(10), stage_began=False)
    throttled.close()
    throttled.close()
    assert written == [0, 3, 6, 9, 10]


def test_a_new_stage_is_told_at_once_after_the_end_of_the_old() -> None:
    written: list[tuple[Stage, int]] = []
    throttled = Throttled(
        lambda document: written.append((document.stage, document.iteration)), 1.0, Clock()
    )
    throttled.tell(at(1), stage_began=True)
    throttled.tell(at(2), stage_began=False)
    throttled.tell(at(2).model_copy(update={"stage": Stage.EVALUATING}), stage_began=True)
    assert written == [(Stage.TRAINING, 1), (Stage.TRAINING, 2), (Stage.EVALUATING, 2)]


def test_lines_are_json_even_where_the_loss_is_not_a_number() -> None:
    stream = StringIO()
    write = write_json_lines(stream)
    write(at(1, loss=0.25))
    write(at(2, loss=float("nan")))
    lines = [
        json.loads(line, parse_constant=pytest.fail) for line in stream.getvalue().splitlines()
    ]
    assert lines[0] == {"stage": "Training", "iteration": 1, "iterations": 100, "loss": 0.25}
    assert lines[1]["iteration"] == 2


def test_the_file_holds_the_newest_document(tmp_path: Path) -> None:
    write = write_progress_file(tmp_path / "progress.json")
    write(at(1))
    write(at(2))
    text = (tmp_path / "progress.json").read_text()
    assert ProgressDocument.model_validate_json(text) == at(2)
    assert [path.name for path in tmp_path.iterdir()] == ["progress.json"]


def test_the_file_and_the_lines_say_which_checkpoint_is_kept(tmp_path: Path) -> None:
    kept = CheckpointRef(iteration=40, uri="s3://splats/a.pt")
    document = at(41).model_copy(update={"checkpoint": kept})
    stream = StringIO()
    write_progress_file(tmp_path / "progress.json")(document)
    write_json_lines(stream)(document)
    assert (tmp_path / "progress.json").read_text() == stream.getvalue()
    said = json.loads(stream.getvalue())
    assert said["checkpoint"] == {"iteration": 40, "uri": "s3://splats/a.pt"}
    assert ProgressDocument.model_validate_json(stream.getvalue()) == document


def test_the_bar_shows_the_figures_and_leaves_a_line_for_each_stage() -> None:
    stream = StringIO()
    bar = TerminalBar(Console(file=stream, force_terminal=True, width=160))
    bar.tell(ProgressDocument(stage=Stage.LOADING), stage_began=True)
    bar.tell(at(0), stage_began=True)
    bar.tell(at(40, loss=0.0312, psnr=27.5, gaussians=12_345, eta_seconds=75), stage_began=False)
    bar.close()
    shown = stream.getvalue()
    assert "Loading" in shown
    assert "40/100  1:15 left  loss 0.0312  PSNR 27.50 dB  12,345 Gaussians" in shown


def test_the_figures_are_those_that_are_known() -> None:
    assert figures(ProgressDocument(stage=Stage.LOADING)) == ""
    assert figures(at(100, eta_seconds=0, gpu_memory_bytes=3 << 30)) == "100/100  3.0 GiB"


@pytest.mark.parametrize(
    ("seconds", "shown"), [(4.23, "4.2 s"), (59.99, "60.0 s"), (185, "3:05"), (3_723, "1:02:03")]
)
def test_durations_are_written_as_people_do(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown


def test_a_faulty_progress_address_is_refused_at_the_start() -> None:
    with pytest.raises(TrainerError, match="SPLAT_PROGRESS_URL"):
        open_reporters("none", None, {"SPLAT_PROGRESS_URL": "ftp://x/y"})


def test_a_pipe_gets_lines(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    reporters = open_reporters("auto", tmp_path / "p.json", {}, iterations=5)
    reporters.stage(Stage.FETCHING)
    reporters.close()
    assert json.loads(capsys.readouterr().out)["stage"] == "Fetching"
    assert (tmp_path / "p.json").exists()
