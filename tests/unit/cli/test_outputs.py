"""Previews in the output are those of the last run that wrote there."""

import logging
from pathlib import Path

import pytest

from splat_trainer.capture.synthetic import make_synthetic_capture
from splat_trainer.cli.main import main
from splat_trainer.cli.outputs import Outputs
from splat_trainer.cli.workspace import Workspace
from splat_trainer.contract import ExitCode, Reason, TrainerError
from splat_trainer.storage import open_output
from splat_trainer.storage.local import LocalStorage

OURS = ("0000-a.jpg", "0001-b.jpg", "0002.jpg")
OTHERS = ("0003-c.png", "mine.jpg", "more/0004-d.jpg")


@pytest.fixture
def output(tmp_path: Path) -> Path:
    """An output with previews of an earlier run, and what others put beside them."""
    for name in (*OURS, *OTHERS):
        path = tmp_path / "out" / "previews" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("earlier")
    return tmp_path / "out"


def previews_in(output: Path) -> dict[str, str]:
    folder = output / "previews"
    return {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize("local", [True, False])
def test_earlier_previews_go_and_nothing_else(output: Path, local: bool, tmp_path: Path) -> None:
    work = output if local else tmp_path / "work"
    (work / "previews").mkdir(parents=True, exist_ok=True)
    (work / "previews" / OURS[1]).write_text("new")
    workspace = Workspace(tmp_path, work, local=local)
    Outputs(open_output(str(output)), workspace).put_previews([OURS[1]])
    assert previews_in(output) == {OURS[1]: "new"} | dict.fromkeys(OTHERS, "earlier")


def test_previews_that_cannot_be_removed_fail_no_run(
    output: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def refuse(storage: LocalStorage, name: str) -> None:
        raise TrainerError(Reason.STORAGE_DENIED, f"{name} may not be removed")

    monkeypatch.setattr(LocalStorage, "delete", refuse)
    with caplog.at_level(logging.WARNING):
        Outputs(open_output(str(output)), Workspace(tmp_path, output, local=True)).put_previews([])
    [record] = caplog.records
    assert "previews/0000-a.jpg may not be removed" in record.getMessage()


def test_a_run_that_holds_no_photo_out_leaves_no_previews(tmp_path: Path) -> None:
    make_synthetic_capture(tmp_path / "capture", views=6, size=32)
    arguments = ["train", "--data", str(tmp_path / "capture"), "--output", str(tmp_path / "out")]
    arguments += ["--iterations=2", "--device=cpu", "--progress=none"]
    assert main([*arguments, "--holdout-every=3"]) == ExitCode.DONE
    assert len(list((tmp_path / "out" / "previews").iterdir())) == 2
    assert main([*arguments, "--holdout-every=0"]) == ExitCode.DONE
    assert list((tmp_path / "out" / "previews").iterdir()) == []
