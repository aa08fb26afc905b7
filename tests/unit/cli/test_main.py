"""The command line as a process: exit codes, the one line, and what is not imported."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from splat_trainer.capture.synthetic import make_synthetic_capture
from splat_trainer.contract import ExitCode, Outcome, Reason, ResultDocument, TrainConfig
from splat_trainer.gaussians.formats.ply import write_ply
from tests.unit.rasterize.scenes import random_gaussians


def splat_trainer(*args: str | Path, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "splat_trainer.cli", *map(str, args)],
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def the_error_line(process: subprocess.CompletedProcess[str]) -> str:
    lines = process.stderr.splitlines()
    assert len(lines) == 1, process.stderr
    assert lines[0].startswith("splat-trainer: error: ")
    return lines[0]


@pytest.mark.parametrize(
    "command", ["", "train", "eval", "convert", "inspect", "synth", "config", "doctor"]
)
def test_help_of_every_command_reads_well(command: str) -> None:
    process = splat_trainer(*command.split(), "--help")
    assert process.returncode == 0
    assert process.stdout.startswith(f"usage: splat-trainer {command}".rstrip())
    assert process.stderr == ""


def test_version() -> None:
    process = splat_trainer("--version")
    assert process.stdout.startswith("splat-trainer 0.")


@pytest.mark.parametrize("args", [["train", "--help"], ["config"], ["config", "--print-schema"]])
def test_what_needs_no_torch_imports_none(args: list[str]) -> None:
    code = (
        "import sys; from splat_trainer.cli.main import main; main(sys.argv[1:]); "
        "print({'torch', 'numpy', 'gsplat', 'boto3', 'rich', 'PIL'} & set(sys.modules))"
    )
    process = subprocess.run(
        [sys.executable, "-c", code, *args], capture_output=True, text=True, check=True
    )
    assert process.stdout.splitlines()[-1] == "set()"


def test_the_shown_configuration_can_be_read_again(tmp_path: Path) -> None:
    shown = splat_trainer("config", "--iterations", "7000", "--strategy", "default").stdout
    (tmp_path / "run.json").write_text(shown)
    again = splat_trainer("config", "--config", tmp_path / "run.json").stdout
    assert again == shown
    assert json.loads(shown)["densifyUntilIteration"] == 3_500


def test_the_schema_describes_every_setting() -> None:
    schema = json.loads(splat_trainer("config", "--print-schema").stdout)
    assert set(schema["properties"]) == {field.alias for field in TrainConfig.model_fields.values()}
    assert all("description" in setting for setting in schema["properties"].values())


@pytest.mark.parametrize(
    ("args", "told"),
    [
        ([], "COMMAND"),
        (["tarin"], "invalid choice: 'tarin'"),
        (["train"], "--data"),
        (["train", "--data", "d", "--output", "o", "--iteration", "5"], "--iteration 5"),
        (["config", "--iterations", "many"], "'many' (--iterations)"),
        (["config", "--config", "/nonexistent.yaml"], "/nonexistent.yaml"),
        (["synth", "--output", "o", "--views", "1"], "from 2 to 10000"),
    ],
)
def test_a_faulty_command_line_is_refused_in_one_line(args: list[str], told: str) -> None:
    process = splat_trainer(*args)
    assert process.returncode == ExitCode.CONFIG
    assert told in the_error_line(process)
    assert process.stdout == ""


@pytest.mark.parametrize(
    "args",
    [
        ["train", "--output", "out", "--device=cpu", "--data"],
        ["train", "--data", "capture", "--device=cpu", "--output"],
        ["inspect", "--data"],
        ["eval", "splat.ply", "--device=cpu", "--data"],
    ],
)
def test_a_path_that_is_not_utf_8_is_refused_at_once(args: list[str], tmp_path: Path) -> None:
    place = tmp_path / os.fsdecode(b"c\xe4m")
    make_synthetic_capture(place, views=2, size=16)
    write_ply(random_gaussians(2), tmp_path / "splat.ply")
    process = subprocess.run(
        [sys.executable, "-m", "splat_trainer.cli", *args, place.name],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert process.returncode == ExitCode.CONFIG
    assert "'c\\udce4m' is not UTF-8 text" in process.stderr.splitlines()[-1]
    assert "Traceback" not in process.stderr


def test_a_faulty_environment_is_refused_in_one_line() -> None:
    process = splat_trainer("config", ITERATIONS="lots")
    assert process.returncode == ExitCode.CONFIG
    assert "$ITERATIONS" in the_error_line(process)


def test_even_a_faulty_command_line_fills_the_termination_message(tmp_path: Path) -> None:
    path = tmp_path / "termination-log"
    path.touch()
    process = splat_trainer("train", SPLAT_RESULT_PATH=str(path))
    document = ResultDocument.model_validate_json(path.read_text())
    assert document.outcome is Outcome.FAILED
    assert document.reason is Reason.INVALID_CONFIGURATION
    assert document.exit_code == process.returncode
    assert document.message in process.stderr


def test_a_reader_that_goes_away_is_no_bug() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    process = subprocess.run(
        [sys.executable, "-m", "splat_trainer.cli", "config"],
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
        check=False,
    )
    os.close(writing)
    assert process.stderr == ""
    assert process.returncode == 141


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
def test_a_process_that_begins_with_closed_output_ends_well(closed: str) -> None:
    module = f"{shlex.quote(sys.executable)} -m splat_trainer.cli"
    process = subprocess.run(
        ["sh", "-c", f"{module} config {closed}"], capture_output=True, text=True, check=False
    )
    assert (process.returncode, process.stderr) == (0, "")


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_a_photo_with_any_name_is_told_whatever_the_encoding(encoding: str, tmp_path: Path) -> None:
    name = "cäm_\U0001f5bc.png"
    make_synthetic_capture(tmp_path / "capture", views=2, size=16)
    (tmp_path / "capture/images/view_001.png").rename(tmp_path / "capture/images" / name)
    model = tmp_path / "capture/sparse/0/images.bin"
    model.write_bytes(model.read_bytes().replace(b"view_001.png", name.encode()))
    write_ply(random_gaussians(2), tmp_path / "splat.ply")
    command = [sys.executable, "-m", "splat_trainer.cli", "eval", str(tmp_path / "splat.ply")]
    command += ["--data", str(tmp_path / "capture"), "--device=cpu"]
    told = []
    for form in ([], ["--json"]):
        process = subprocess.run(
            [*command, *form],
            env={**os.environ, "PYTHONIOENCODING": encoding},
            capture_output=True,
            encoding=encoding,
            timeout=120,
            check=False,
        )
        assert process.returncode == ExitCode.DONE, process.stderr
        told.append(process.stdout)
    assert "m_" in told[0]
    assert json.loads(told[1])["views"][0]["name"] == name


def test_an_unforeseen_failure_is_our_bug_and_says_so(tmp_path: Path) -> None:
    code = (
        "import sys, splat_trainer.cli.commands.config as command\n"
        "def run(invocation): raise RuntimeError('the sky fell')\n"
        "command.run = run\n"
        "from splat_trainer.cli.main import main\n"
        "sys.exit(main(['config']))"
    )
    process = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "SPLAT_RESULT_PATH": str(tmp_path / "result.json")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == ExitCode.BUG
    assert "Traceback" in process.stderr
    last = process.stderr.splitlines()[-1]
    assert last.startswith("splat-trainer: error: internal error, RuntimeError: the sky fell")
    result = (tmp_path / "result.json").read_text()
    assert "Traceback" not in result
    assert ResultDocument.model_validate_json(result).reason is Reason.INTERNAL_ERROR


@pytest.mark.parametrize(
    ("given", "told"), [({}, "'PASSIVE'"), ({"OMP_WAIT_POLICY": "ACTIVE"}, "'ACTIVE'")]
)
def test_openmp_is_told_not_to_spin_unless_the_user_says_otherwise(
    given: dict[str, str], told: str
) -> None:
    """OpenMP itself tells what it read, as torch loads it."""
    process = splat_trainer("doctor", OMP_DISPLAY_ENV="TRUE", **given)
    assert f"OMP_WAIT_POLICY = {told}" in process.stderr
