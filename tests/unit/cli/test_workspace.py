"""Folders for temporary files, and how what lies in them is told."""

import shutil
from pathlib import Path

import pytest

from splat_trainer.capture.synthetic import make_synthetic_capture
from splat_trainer.cli.diagnosis.finding import Verdict
from splat_trainer.cli.diagnosis.surroundings import look_at_scratch
from splat_trainer.cli.main import main
from splat_trainer.cli.workspace import open_scratch, temporary_folder
from splat_trainer.contract import ExitCode, Reason, TrainerError
from splat_trainer.gaussians.formats.ply import write_ply
from tests.unit.rasterize.scenes import random_gaussians
from tests.unit.unprivileged import unprivileged


@pytest.mark.parametrize("command", ["inspect", "eval", "train"])
def test_a_fault_in_a_packed_capture_names_the_archive(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capture, archive, splat = (tmp_path / name for name in ("capture", "garden.zip", "splat.ply"))
    make_synthetic_capture(capture, views=2, size=16)
    (capture / "sparse/0/cameras.bin").write_bytes(b"cut")
    shutil.make_archive(str(archive.with_suffix("")), "zip", capture)
    write_ply(random_gaussians(2), splat)
    given = {
        "inspect": [],
        "eval": [str(splat), "--device=cpu"],
        "train": ["--device=cpu", "--progress=none", "--output", str(tmp_path / "out")],
    }
    assert main([command, *given[command], "--data", str(archive)]) == ExitCode.DATA
    line = capsys.readouterr().err.splitlines()[-1]
    assert f"{archive}/sparse/0/cameras.bin" in line
    assert "splat-trainer-" not in line


def test_what_inspect_tells_of_a_packed_capture_names_the_archive(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capture, archive = tmp_path / "capture", tmp_path / "garden.zip"
    make_synthetic_capture(capture, views=3, size=16)
    (capture / "images" / "view_001.png").write_bytes(b"cut")
    shutil.make_archive(str(archive.with_suffix("")), "zip", capture)
    for more in ([], ["--json"]):
        assert main(["inspect", "--data", str(archive), *more]) == ExitCode.DONE
        told = capsys.readouterr().out
        assert f"{archive}/sparse/0" in told
        assert f"{archive}/images/view_001.png is no image" in told
        assert "splat-trainer-" not in told


@pytest.mark.parametrize("name", ["none", "file", "closed"])
def test_a_tmpdir_that_cannot_be_written_is_refused_and_not_replaced(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "closed").mkdir(mode=0o555)
    monkeypatch.setenv("TMPDIR", str(tmp_path / name))
    with unprivileged(), pytest.raises(TrainerError, match="TMPDIR is '") as caught, open_scratch():
        pass
    assert caught.value.reason is Reason.INVALID_CONFIGURATION
    with unprivileged():
        finding = look_at_scratch()
    assert (finding.verdict, finding.detail) == (Verdict.FAULT, caught.value.message)


def test_kernels_are_not_compiled_elsewhere_than_in_tmpdir(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path / "none"))
    arguments = ["kernels", "build", "--cache", str(tmp_path / "cache"), "--architectures", "9.0"]
    assert main(arguments) == ExitCode.CONFIG
    assert "TMPDIR is '" in capsys.readouterr().err


def test_scratch_lies_in_tmpdir_and_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "scratch").mkdir()
    monkeypatch.setenv("TMPDIR", "scratch")
    assert temporary_folder() == tmp_path / "scratch"
    with open_scratch() as scratch:
        assert scratch.parent == tmp_path / "scratch"
    assert list((tmp_path / "scratch").iterdir()) == []
