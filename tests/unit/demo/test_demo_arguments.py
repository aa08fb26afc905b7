"""What the demo is told by the command line and the environment, and what it refuses."""

import subprocess
from pathlib import Path

import pytest

from deploy.demo.__main__ import _parser
from deploy.demo.gpu.__main__ import _unpack
from deploy.demo.stages import DemoError, Stages
from deploy.demo.story import SUMMARY, _image_values, tell


@pytest.mark.parametrize(
    ("name", "value"),
    [("CLUSTER", "curent"), ("GPUS", "3"), ("ITERATIONS", "7k"), ("MAX_SIDE", "wide")],
)
def test_a_mistake_in_the_environment_is_told_and_not_taken_for_a_default(
    name: str, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        _parser({name: value}).parse_args(["up"])
    assert value in capsys.readouterr().err


def test_the_environment_sets_what_no_flag_does() -> None:
    environ = {"CLUSTER": "current", "GPUS": "1", "ITERATIONS": "7"}
    arguments = _parser(environ).parse_args(["up", "--iterations", "9"])
    assert (arguments.cluster, arguments.gpus, arguments.iterations) == ("current", 1, 9)


def test_an_image_is_named_to_the_chart_in_parts() -> None:
    assert _image_values("image", "host:5000/a/b:1") == "image.repository=host:5000/a/b,image.tag=1"
    digest = f"sha256:{'0' * 64}"
    told = f"image.repository=host/a,image.digest={digest}"
    assert _image_values("image", f"host/a@{digest}") == told


@pytest.mark.parametrize("reference", ["host/a/b", "localhost:5000/splat-operator"])
def test_an_image_with_neither_tag_nor_digest_is_refused(reference: str) -> None:
    with pytest.raises(DemoError, match="neither tag nor digest"):
        _image_values("image", reference)


def test_a_folder_with_files_of_others_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(DemoError, match="name another"):
        tell(None, None, tmp_path, None, tmp_path, Stages(), 1.0)  # type: ignore[arg-type]
    assert SUMMARY not in {path.name for path in tmp_path.iterdir()}


def packed(folder: Path, content: str) -> Path:
    (folder / "tool").write_text(content)
    archive = folder / "tools.tar"
    command = ["tar", "--create", "--file", str(archive), "--directory", str(folder), "tool"]
    subprocess.run(command, check=True)
    return archive


def test_a_new_pack_replaces_what_the_last_one_left(tmp_path: Path) -> None:
    target = tmp_path / "unpacked"
    for content in ("old", "new"):
        _unpack(packed(tmp_path, content), target)
        assert (target / "tool").read_text() == content


def test_a_pack_that_could_not_be_unpacked_whole_is_not_taken_for_one_that_was(
    tmp_path: Path,
) -> None:
    archive = tmp_path / "tools.tar"
    archive.write_bytes(b"no archive" * 100)
    for _ in range(2):
        with pytest.raises(subprocess.CalledProcessError):
            _unpack(archive, tmp_path / "unpacked")
