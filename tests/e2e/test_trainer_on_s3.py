"""From a bucket to a bucket, on a real S3-compatible server."""

import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from splat_trainer.capture.synthetic.make import make_synthetic_capture
from splat_trainer.contract import ExitCode, Outcome, Reason
from splat_trainer.report.metrics import Metrics
from tests.e2e.trainer import progress_of, result_in, run, start
from tests.s3_server import S3Server, s3_server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    folder = tmp_path_factory.mktemp("s3")
    with s3_server(folder) as running:
        make_synthetic_capture(running.root / "captures" / "ring", views=10, size=48)
        (running.root / "results").mkdir()
        yield running


@pytest.fixture(autouse=True)
def scratch(server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The server's credentials, and a TMPDIR that must be empty again after the test."""
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    with tempfile.TemporaryDirectory() as folder:
        monkeypatch.setenv("TMPDIR", folder)
        yield Path(folder)


def train(output: str, *more: str, data: str = "s3://captures/ring") -> list[str]:
    return [
        "train", "--data", data, "--output", output, "--device", "cpu",
        "--densify-until-iteration", "0", *more,
    ]  # fmt: skip


def test_a_training_from_a_bucket_to_a_bucket(server: S3Server, scratch: Path) -> None:
    told = server.root.parent / "told"
    folder = server.root / "results/plain"
    (folder / "previews").mkdir(parents=True)
    for name in ("0007-of_an_earlier_run.jpg", "of_others.jpg"):
        (folder / "previews" / name).touch()
    process = run(*train("s3://results/plain", "--iterations", "3"), result=told)
    assert process.returncode == ExitCode.DONE, process.stderr
    written = {path.relative_to(folder).as_posix() for path in folder.rglob("*.*")}
    assert {"point_cloud.ply", "metrics.json", "report.html", "result.json"} < written
    assert len([name for name in written if name.startswith("previews/000")]) == 2
    assert "previews/0007-of_an_earlier_run.jpg" not in written
    assert "previews/of_others.jpg" in written
    metrics = Metrics.model_validate_json((folder / "metrics.json").read_text())
    assert metrics.capture.source == "s3://captures/ring"
    result = result_in(told)
    assert result == result_in(folder / "result.json")
    assert [file.uri for file in result.outputs] == [
        "s3://results/plain/point_cloud.ply",
        "s3://results/plain/metrics.json",
        "s3://results/plain/report.html",
    ]
    assert list(scratch.iterdir()) == []
    assert progress_of(process.stdout)[-1].stage == "Uploading"


def test_an_archive_in_a_bucket(server: S3Server) -> None:
    archive = shutil.make_archive(
        str(server.root / "captures" / "packed"), "gztar", server.root / "captures", "ring"
    )
    name = Path(archive).name
    process = run(*train("s3://results/packed", "--iterations", "2", data=f"s3://captures/{name}"))
    assert process.returncode == ExitCode.DONE, process.stderr


def test_a_run_whose_machine_is_lost_goes_on_from_the_bucket(
    server: S3Server, tmp_path: Path
) -> None:
    checkpoints = server.root / "results/lost/checkpoints"
    arguments = train("s3://results/lost", "--iterations", "100000", "--checkpoint-interval", "5")
    with start(*arguments) as process:
        for _ in range(1_200):
            if list(checkpoints.glob("*.pt")) or process.poll() is not None:
                break
            time.sleep(0.1)
        process.kill()
        process.communicate()
    [kept] = checkpoints.glob("*.pt")
    step = int(kept.stem.rpartition("_")[2])
    told = tmp_path / "told"
    process_again = run(
        *train("s3://results/lost", "--resume", "--iterations", str(step + 3)), result=told
    )
    assert process_again.returncode == ExitCode.DONE, process_again.stderr
    assert f"going on from {kept.name}" in process_again.stderr
    assert result_in(told).iterations == step + 3


def test_sigterm_leaves_the_checkpoint_in_the_bucket(server: S3Server, tmp_path: Path) -> None:
    told = tmp_path / "told"
    arguments = train("s3://results/stopped", "--iterations", "100000")
    with start(*arguments, result=told) as process:
        assert process.stdout
        for line in process.stdout:
            if progress_of(line)[0].iteration > 0:
                break
        process.terminate()
        process.communicate(timeout=120)
    assert process.returncode == ExitCode.INTERRUPTED
    result = result_in(told)
    assert result.outcome is Outcome.INTERRUPTED
    assert result.checkpoint is not None
    name = result.checkpoint.uri.removeprefix("s3://results/")
    assert (server.root / "results" / name).is_file()


def test_wrong_credentials_are_the_users_to_put_right(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-this-one")
    told = tmp_path / "told"
    process = run(*train("s3://results/denied"), result=told)
    assert process.returncode == ExitCode.CONFIG
    assert len(process.stderr.splitlines()) == 1
    assert "not-this-one" not in process.stderr
    assert result_in(told).reason is Reason.STORAGE_DENIED
