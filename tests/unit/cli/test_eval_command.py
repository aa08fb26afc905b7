"""What `splat-trainer eval` measures, writes and refuses."""

from pathlib import Path

import pytest

from splat_trainer.capture.synthetic import make_synthetic_capture
from splat_trainer.cli.commands import eval as command
from splat_trainer.cli.main import main
from splat_trainer.contract import ExitCode
from splat_trainer.gaussians.formats.ply import write_ply
from tests.unit.rasterize.scenes import random_gaussians


@pytest.fixture
def arguments(tmp_path: Path) -> list[str]:
    """A splat and a capture, as `eval` takes them."""
    make_synthetic_capture(tmp_path / "capture", views=6, size=32)
    write_ply(random_gaussians(20), tmp_path / "splat.ply")
    capture = str(tmp_path / "capture")
    return ["eval", str(tmp_path / "splat.ply"), "--data", capture, "--device=cpu"]


def test_photos_are_written_beside_their_renders(arguments: list[str], tmp_path: Path) -> None:
    folder = tmp_path / "new" / "previews"
    assert main([*arguments, "--previews", str(folder)]) == ExitCode.DONE
    assert [path.suffix for path in folder.iterdir()] == [".jpg"]


@pytest.mark.parametrize("place", ["file", "file/below", "x" * 300])
def test_previews_that_can_lie_nowhere_are_refused_before_anything_is_rendered(
    arguments: list[str],
    place: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr(command, "evaluate", pytest.fail)
    assert main([*arguments, "--previews", str(tmp_path / place)]) == ExitCode.CONFIG
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith(f"splat-trainer: error: cannot write {tmp_path / place}")


def test_a_preview_that_cannot_be_written_is_told_in_one_line(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "previews" / "0000-view_001.jpg").mkdir(parents=True)
    assert main([*arguments, "--previews", str(tmp_path / "previews")]) == ExitCode.CONFIG
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith(f"splat-trainer: error: cannot write {tmp_path / 'previews'}")


@pytest.mark.parametrize("content", [b"{}\n", b"", b"not a pickle", b"\x80\x05K\x01."])
@pytest.mark.parametrize("name", ["metrics.json", "checkpoint.pt"])
def test_what_is_no_splat_is_told_with_what_is_read_and_without_torchs_words(
    arguments: list[str],
    name: str,
    content: bytes,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / name).write_bytes(content)
    assert main(["eval", str(tmp_path / name), *arguments[2:]]) == ExitCode.CONFIG
    line = capsys.readouterr().err.splitlines()[-1]
    told = "is neither a 3DGS .ply nor a whole checkpoint (.pt) of this trainer"
    assert line.startswith(f"splat-trainer: error: {tmp_path / name} {told}")
    assert "weights_only" not in line
