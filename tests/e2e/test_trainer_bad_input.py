"""What is wrong is told in one line, with the exit code that says whose fault it is."""

import json
import shutil
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from splat_trainer.capture.synthetic.make import make_synthetic_capture
from splat_trainer.cli.main import main
from splat_trainer.contract import ExitCode, Outcome, Reason, ResultDocument
from tests.e2e.trainer import COMMAND, environment, result_in


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bad") / "capture"
    make_synthetic_capture(folder, views=6, size=32)
    return folder


@pytest.fixture
def capture(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "capture"))


class Failed:
    """Trains in this process, and checks what every failure must leave."""

    def __init__(self, tmp_path: Path, capsys: pytest.CaptureFixture[str], result: Path) -> None:
        self.output = tmp_path / "out"
        self._capsys = capsys
        self._result = result

    def __call__(self, data: Path | str, *more: str) -> tuple[ResultDocument, str]:
        code = main([
            "train", "--data", str(data), "--output", str(self.output),
            "--device", "cpu", "--iterations", "2", *more,
        ])  # fmt: skip
        stderr = self._capsys.readouterr().err
        errors = [one for one in stderr.splitlines() if "error" in one and " INFO " not in one]
        assert len(errors) == 1, stderr
        assert stderr.splitlines()[-1] == errors[0]
        assert errors[0].startswith("splat-trainer: error: ")
        assert "Traceback" not in stderr
        result = result_in(self._result)
        assert result.outcome is Outcome.FAILED
        assert result.exit_code == code
        return result, errors[0]


@pytest.fixture
def failed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Failed:
    result = tmp_path / "termination-log"
    monkeypatch.setenv("SPLAT_RESULT_PATH", str(result))
    return Failed(tmp_path, capsys, result)


def test_a_capture_that_is_not_there(failed: Failed, tmp_path: Path) -> None:
    result, line = failed(tmp_path / "absent")
    assert result.exit_code is ExitCode.NOT_FOUND
    assert result.reason is Reason.CAPTURE_NOT_FOUND
    assert "absent" in line


def test_the_result_stands_in_the_output_too(failed: Failed, tmp_path: Path) -> None:
    result, _ = failed(tmp_path / "absent")
    assert result_in(failed.output / "result.json") == result


def cut_points(capture: Path) -> None:
    file = capture / "sparse/0/points3D.bin"
    file.write_bytes(file.read_bytes()[:100])


def empty_cameras(capture: Path) -> None:
    (capture / "sparse/0/cameras.bin").write_bytes(b"")


def lying_images(capture: Path) -> None:
    file = capture / "sparse/0/images.bin"
    file.write_bytes((10**18).to_bytes(8, "little") + file.read_bytes()[8:])


def cut_photo(capture: Path) -> None:
    file = capture / "images/view_002.png"
    file.write_bytes(file.read_bytes()[:200])


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        (cut_points, "points3D.bin"),
        (empty_cameras, "cameras.bin"),
        (lying_images, "images.bin"),
        (cut_photo, "view_002.png"),
    ],
)
def test_a_damaged_capture_is_at_fault_and_the_file_is_named(
    capture: Path, failed: Failed, damage: Callable[[Path], None], named: str
) -> None:
    damage(capture)
    result, line = failed(capture)
    assert result.exit_code is ExitCode.DATA
    assert named in line


def test_a_photo_that_is_missing_is_named_and_can_be_done_without(
    capture: Path, failed: Failed
) -> None:
    (capture / "images/view_003.png").unlink()
    result, line = failed(capture)
    assert result.exit_code is ExitCode.NOT_FOUND
    assert "view_003.png" in line
    assert "allow missing images" in line
    done = ["--allow-missing-images", "--device", "cpu", "--iterations", "2"]
    assert main(["train", "--data", str(capture), "--output", str(failed.output), *done]) == 0
    metrics = json.loads((failed.output / "metrics.json").read_text())
    assert metrics["capture"]["missingImages"] == 1


def test_an_archive_that_climbs_out_is_refused(failed: Failed, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "evil.zip", "w") as archive:
        archive.writestr("../escaped.txt", "x")
    result, _ = failed(tmp_path / "evil.zip")
    assert result.exit_code is ExitCode.DATA
    assert not list(tmp_path.rglob("escaped.txt"))


def test_a_gpu_that_is_wanted_and_missing(
    whole: Path, failed: Failed, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    result, line = failed(whole, "--device", "cuda")
    assert (result.exit_code, result.reason) == (ExitCode.CONFIG, Reason.NO_GPU)
    assert "--device cpu" in line


def test_an_impossible_setting(whole: Path, failed: Failed) -> None:
    result, line = failed(whole, "--strategy", "mcmc")
    assert result.exit_code is ExitCode.CONFIG
    assert "maxGaussians" in line


def test_an_output_that_cannot_be_a_folder(whole: Path, failed: Failed, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    failed.output = tmp_path / "file" / "out"
    result, line = failed(whole)
    assert result.exit_code is ExitCode.CONFIG
    assert "file/out" in line


def test_an_output_that_may_not_be_written(whole: Path, tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0o500)
    told = tmp_path / "termination-log"
    powerless = ["unshare", "--user"]  # even of root nothing is left but its files' own bits
    if subprocess.run([*powerless, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine lets nobody make a user namespace")
    process = subprocess.run(
        [*powerless, *COMMAND, "train", "--data", whole, "--output", tmp_path / "locked" / "out"],
        env=environment(told), capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert process.returncode == ExitCode.CONFIG, process.stderr
    assert len(process.stderr.splitlines()) == 1
    assert "locked" in process.stderr
    assert result_in(told).reason is Reason.STORAGE_DENIED


def test_a_disk_that_fills(whole: Path, tmp_path: Path) -> None:
    small, told = tmp_path / "small", tmp_path / "termination-log"
    small.mkdir()
    mount = f'mount -t tmpfs -o size=64k none "{small}"'
    inside = ["unshare", "--user", "--map-root-user", "--mount", "bash", "-c"]
    if subprocess.run([*inside, mount], capture_output=True, check=False).returncode:
        pytest.skip("this machine lets nobody mount a small disk of his own")
    process = subprocess.run(
        [*inside, f'{mount} && exec "$@"', "bash", *COMMAND, "train", "--data", whole,
         "--output", small / "out", "--device", "cpu", "--iterations", "2"],
        env=environment(told), capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert process.returncode == ExitCode.STORAGE, process.stderr
    assert process.stderr.splitlines()[-1].startswith("splat-trainer: error: ")
    assert "No space left" in process.stderr or "no space left" in process.stderr
    assert "Traceback" not in process.stderr
    assert result_in(told).reason is Reason.STORAGE_UNAVAILABLE
