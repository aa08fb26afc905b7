"""Folders for temporary files, and how what lies in them is told."""

import shutil
from pathlib import Path

import pytest

from splat_trainer.capture.synthetic import make_synthetic_capture
from splat_trainer.cli.main import main
from splat_trainer.contract import ExitCode
from splat_trainer.gaussians.formats.ply import write_ply
from tests.unit.rasterize.scenes import random_gaussians


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
