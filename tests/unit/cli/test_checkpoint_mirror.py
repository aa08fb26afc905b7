"""A checkpoint is told of once it has arrived where checkpoints are kept, and not before."""

import queue
from collections.abc import Iterator
from pathlib import Path

import pytest

from splat_trainer.cli.checkpoint_mirror import CheckpointMirror
from splat_trainer.cli.checkpoints import Checkpoints
from splat_trainer.contract import CheckpointRef
from splat_trainer.storage import open_output
from splat_trainer.train.checkpoint_files import checkpoint_name
from tests.cluster.waiting import wait_for
from tests.s3_server import S3Server, s3_server

PLACE = "s3://scratch/run"


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Server]:
    with s3_server(tmp_path / "s3") as running:
        (running.root / "scratch").mkdir()
        for name, value in running.environment.items():
            monkeypatch.setenv(name, value)
        yield running


def test_each_is_told_of_by_its_place_in_the_bucket_once_it_is_there(
    server: S3Server, tmp_path: Path
) -> None:
    folder, kept = tmp_path / "written", server.root / "scratch/run"
    folder.mkdir()
    told: queue.Queue[tuple[CheckpointRef, list[str]]] = queue.Queue()

    def copied(checkpoint: CheckpointRef) -> None:
        told.put((checkpoint, [path.name for path in kept.glob("*.pt")]))

    checkpoints = Checkpoints(open_output(PLACE), "", folder, local=False, scratch=tmp_path)
    mirror = CheckpointMirror(checkpoints, copied, every=0.01)
    mirror.start()
    try:
        for step in (10, 20):
            (folder / checkpoint_name(step)).write_bytes(b"all of it")
            checkpoint, there = told.get(timeout=60)
            uri = f"{PLACE}/{checkpoint_name(step)}"
            assert checkpoint == CheckpointRef(iteration=step, uri=uri)
            assert there == [checkpoint_name(step)]
    finally:
        mirror.close()
    assert told.empty()


def test_one_that_cannot_be_copied_is_not_told_of(
    server: S3Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "written"
    folder.mkdir()
    told: queue.Queue[CheckpointRef] = queue.Queue()
    checkpoints = Checkpoints(open_output(PLACE), "", folder, local=False, scratch=tmp_path)
    mirror = CheckpointMirror(checkpoints, told.put, every=0.01)
    (folder / checkpoint_name(10)).mkdir()  # what is no file cannot be sent
    mirror.start()
    try:
        wait_for("a failure", lambda: caplog.text, until=lambda log: "not copied yet" in log)
        assert told.empty()
        (folder / checkpoint_name(10)).rmdir()
        (folder / checkpoint_name(20)).write_bytes(b"all of it")
        assert told.get(timeout=60).iteration == 20
    finally:
        mirror.close()
