"""Formats of the splat: asked for by flag or environment, written by a run, made by `convert`."""

import hashlib
import json
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from splat_trainer.capture.synthetic import make_synthetic_capture
from splat_trainer.cli.formats import asked_formats, format_of
from splat_trainer.cli.main import main
from splat_trainer.contract import ExitCode, Reason, SplatFormat, TrainerError
from splat_trainer.contract.result import RESULT_LIMIT_BYTES
from splat_trainer.gaussians.formats.ply import read_ply
from tests.unit.gaussians.spz_reader import read_spz

PLY, SPZ, SPLAT = SplatFormat.PLY, SplatFormat.SPZ, SplatFormat.SPLAT


@pytest.mark.parametrize(
    ("flag", "variable", "formats"),
    [
        (None, "", (PLY,)),
        ("ply", "", (PLY,)),
        ("spz", "", (PLY, SPZ)),
        ("splat, spz ,ply,spz", "", (PLY, SPLAT, SPZ)),
        (None, " spz\n", (PLY, SPZ)),
        ("ply", "spz", (PLY,)),
    ],
)
def test_the_ply_is_written_in_any_case_and_first(
    flag: str | None, variable: str, formats: tuple[SplatFormat, ...]
) -> None:
    assert asked_formats(flag, {"SPLAT_FORMATS": variable}) == formats


@given(st.text(max_size=30))
def test_any_text_is_formats_or_is_refused_with_the_list(text: str) -> None:
    try:
        formats = asked_formats(text, {})
    except TrainerError as error:
        assert error.reason is Reason.INVALID_CONFIGURATION
        assert "--formats" in error.message
        assert "ply, compressed-ply, spz, splat" in error.message
    else:
        assert {one.strip() for one in text.split(",")} <= {*SplatFormat, ""}
        assert formats[0] is PLY


def test_a_refusal_names_the_variable_where_that_is_at_fault() -> None:
    with pytest.raises(TrainerError, match=r"no format 'sog' \(\$SPLAT_FORMATS\)"):
        asked_formats(None, {"SPLAT_FORMATS": "spz,sog"})


@pytest.mark.parametrize("format", SplatFormat)
def test_the_end_of_a_name_tells_the_format(format: SplatFormat) -> None:
    assert format_of(Path("some/garden" + format.suffix)) is format
    assert format_of(Path("SOME/GARDEN" + format.suffix.upper())) is format


@pytest.mark.parametrize("name", ["a.sog", "a", "ply", "a.ply.gz", ""])
def test_a_name_that_tells_none_is_refused(name: str) -> None:
    with pytest.raises(TrainerError, match=r"\.compressed\.ply") as caught:
        format_of(Path(name))
    assert caught.value.reason is Reason.INVALID_CONFIGURATION


def test_a_run_writes_all_formats_lists_them_and_resumes_with_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make_synthetic_capture(tmp_path / "capture", views=6, size=32)
    output, message = tmp_path / "out", tmp_path / "message"
    monkeypatch.setenv("SPLAT_RESULT_PATH", str(message))
    arguments = ["train", "--data", str(tmp_path / "capture"), "--output", str(output)]
    arguments += ["--iterations=12", "--checkpoint-interval=12", "--device=cpu", "--progress=none"]
    assert main(arguments) == ExitCode.DONE
    assert not list(output.glob("point_cloud.s*"))

    everything = "--formats=" + ",".join(reversed(SplatFormat))
    assert main([*arguments, "--resume", everything]) == ExitCode.DONE
    assert len(message.read_bytes()) <= RESULT_LIMIT_BYTES
    told = {one["format"]: one for one in json.loads(message.read_text())["outputs"]}
    assert list(told) == ["ply", "splat", "spz", "compressed-ply", "metrics", "report"]
    for format in SplatFormat:
        content = (output / format.file_name).read_bytes()
        assert told[format]["uri"].endswith(f"/{format.file_name}")
        assert told[format]["bytes"] == len(content)
        assert told[format]["sha256"] == hashlib.sha256(content).hexdigest()

    # All are in the frame of the PLY, along its axes.
    ply = read_ply(output / "point_cloud.ply")
    spz = torch.from_numpy(read_spz(output / "point_cloud.spz").means)
    assert (spz - ply.means).abs().max() < 1e-3

    capsys.readouterr()
    target = tmp_path / "garden.spz"
    assert main(["convert", str(output / "point_cloud.ply"), str(target)]) == ExitCode.DONE
    assert capsys.readouterr().out.startswith(f"{target}: spz, {len(ply):,} Gaussians, ")
    converted = torch.from_numpy(read_spz(target).means)
    assert torch.equal(converted, spz)


@pytest.mark.parametrize(
    ("source", "target", "code", "told"),
    [
        ("none.ply", "a.spz", ExitCode.NOT_FOUND, "none.ply"),
        ("text.ply", "a.spz", ExitCode.DATA, "no PLY header"),
        ("text.ply", "a.glb", ExitCode.CONFIG, ".compressed.ply, .spz, .splat"),
        ("a.compressed.ply", "b.ply", ExitCode.CONFIG, "compressed-ply is only written, not read"),
        ("a.SPZ", "b.ply", ExitCode.CONFIG, "give the PLY that it was made of"),
    ],
)
def test_what_cannot_be_converted_is_said_in_one_line(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    source: str,
    target: str,
    code: ExitCode,
    told: str,
) -> None:
    (tmp_path / "text.ply").write_text("no splat")
    assert main(["convert", str(tmp_path / source), str(tmp_path / target)]) == code
    (line,) = capsys.readouterr().err.splitlines()
    assert told in line
    assert not (tmp_path / target).exists()


def test_a_format_that_is_only_written_cannot_be_measured(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["eval", "garden.splat", "--data", "nowhere"]) == ExitCode.CONFIG
    assert "garden.splat: splat is only written" in capsys.readouterr().err


def test_an_unknown_format_is_refused_before_anything_is_done(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["train", "--data", "nowhere", "--output", str(tmp_path / "out")]
    assert main([*arguments, "--formats=ply,sog"]) == ExitCode.CONFIG
    assert "there is no format 'sog' (--formats)" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
