import logging
from pathlib import Path

import pytest

from splat_trainer.cli.result import RunRecord, write_atomically, write_in_place
from splat_trainer.contract import (
    ExitCode,
    Outcome,
    Reason,
    ResultDocument,
    TrainerError,
)


def test_a_failure_tells_what_was_known_by_then() -> None:
    record = RunRecord(started=0)
    record.note(iterations=350, gaussians=12_000)
    document = record.failed(TrainerError(Reason.OUT_OF_GPU_MEMORY, "line one\nline two"))
    assert document.outcome is Outcome.FAILED
    assert document.exit_code is ExitCode.CONFIG
    assert (document.iterations, document.gaussians) == (350, 12_000)
    assert document.message == r"line one\nline two"
    assert document.total_seconds


def test_an_interruption_is_no_failure() -> None:
    document = RunRecord(started=0).failed(TrainerError(Reason.INTERRUPTED, "SIGTERM"))
    assert document.outcome is Outcome.INTERRUPTED
    assert document.exit_code is ExitCode.INTERRUPTED


def test_the_document_goes_everywhere_even_if_one_place_fails(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    record = RunRecord(started=0)
    record.send_to(write_in_place(tmp_path / "no" / "folder"))
    record.send_to(write_in_place(tmp_path / "result.json"))
    with caplog.at_level(logging.WARNING):
        record.tell(record.succeeded("done"))
    written = ResultDocument.model_validate_json((tmp_path / "result.json").read_text())
    assert written.outcome is Outcome.SUCCEEDED
    assert "result document" in caplog.text


def test_a_termination_message_is_written_into_the_file_that_is_there(tmp_path: Path) -> None:
    path = tmp_path / "termination-log"
    path.write_text("x" * 10_000)
    inode = path.stat().st_ino
    write_in_place(path)("{}")
    assert path.read_text() == "{}"
    assert path.stat().st_ino == inode


def test_an_atomic_write_leaves_nothing_beside(tmp_path: Path) -> None:
    write_atomically(tmp_path / "a.json")("old")
    with (tmp_path / "a.json").open() as reader:
        write_atomically(tmp_path / "a.json")("new")
        assert reader.read() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]
    assert (tmp_path / "a.json").read_text() == "new"
