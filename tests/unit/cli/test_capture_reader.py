"""The process that reads a capture beside PyTorch's import."""

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from splat_trainer.capture.load import load_scene
from splat_trainer.capture.shared_scene import read_scene
from splat_trainer.capture.synthetic import make_synthetic_capture
from splat_trainer.cli import capture_reader
from splat_trainer.cli.capture_reader import CaptureReader
from splat_trainer.cli.parser import build_parser
from splat_trainer.contract import Reason, TrainConfig, TrainerError, environment

CONFIG = TrainConfig(device="cpu")


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    make_synthetic_capture(tmp_path / "capture", views=6, size=32)
    return tmp_path / "capture"


@pytest.fixture
def reader(monkeypatch: pytest.MonkeyPatch) -> Iterator[CaptureReader]:
    monkeypatch.setattr(capture_reader, "has_pytorch", lambda: False)
    reader = CaptureReader(verbose=False)
    yield reader
    reader.close()


def children() -> list[int]:
    """This process's, from any of its threads."""
    found: list[int] = []
    for task in Path("/proc/self/task").iterdir():
        found += map(int, (task / "children").read_text().split())
    return found


def readers() -> list[int]:
    """Those that read captures."""
    return [pid for pid in children() if b"\0reader\0" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def wait_until_it_runs() -> int:
    while not (found := readers()):
        time.sleep(0.01)
    return found[0]


def test_it_gives_the_scene_that_this_process_would_read(
    reader: CaptureReader, capture: Path
) -> None:
    scene, wanted = reader.read(capture, CONFIG), load_scene(capture, CONFIG)
    assert not readers()
    assert scene.lens == wanted.lens
    assert np.array_equal(scene.points, wanted.points)
    for one, other in zip(
        (*scene.train_views, *scene.test_views),
        (*wanted.train_views, *wanted.test_views),
        strict=True,
    ):
        assert one.name == other.name
        assert np.array_equal(one.K, other.K)
        assert np.array_equal(one.camtoworld, other.camtoworld)
        assert np.array_equal(one.image, other.image)


def test_a_process_that_has_pytorch_reads_the_capture_itself(
    capture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(capture_reader, "has_pytorch", lambda: True)
    reader = CaptureReader(verbose=False)
    assert not readers()
    assert len(reader.read(capture, CONFIG).train_views) == 5


def test_the_scene_lies_where_other_ranks_find_it(
    capture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = os.memfd_create("test")
    monkeypatch.setattr(capture_reader, "has_pytorch", lambda: False)
    scene = CaptureReader(verbose=False, scene=shared).read(capture, CONFIG)
    theirs = read_scene(shared)
    os.close(shared)
    assert np.array_equal(scene.train_views[0].image, theirs.train_views[0].image)


def test_its_lines_are_logged_by_this_process(
    reader: CaptureReader, capture: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "splat_trainer"):
        reader.read(capture, CONFIG)
    assert any(
        record.name == "splat_trainer.capture.load" and record.message.startswith("lens: ")
        for record in caplog.records
    )


def test_what_is_wrong_with_a_capture_is_told_as_if_this_process_had_read_it(
    reader: CaptureReader, capture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    next((capture / "images").iterdir()).write_bytes(b"no photo")
    with pytest.raises(TrainerError) as wanted:
        load_scene(capture, CONFIG)
    with pytest.raises(TrainerError) as told:
        reader.read(capture, CONFIG)
    assert (told.value.reason, told.value.message) == (wanted.value.reason, wanted.value.message)


def test_a_fault_of_our_own_has_its_traceback_in_the_log(
    reader: CaptureReader, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(TrainerError) as told:
        reader.read(None, CONFIG)  # type: ignore[arg-type]
    assert told.value.reason is Reason.INTERNAL_ERROR
    assert "Traceback" in caplog.text


def test_how_the_run_ends_is_not_its_to_tell(
    capture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(environment.RESULT_PATH, str(tmp_path / "result"))
    monkeypatch.setattr(capture_reader, "has_pytorch", lambda: False)
    reader = CaptureReader(verbose=False)
    with pytest.raises(TrainerError):
        reader.read(tmp_path / "nowhere", CONFIG)
    reader.close()
    assert not (tmp_path / "result").exists()


@pytest.mark.parametrize(
    ("kills", "reason", "told"),
    [
        (0, Reason.INTERNAL_ERROR, "the process that reads the capture was ended by SIGKILL"),
        (1, Reason.OUT_OF_MEMORY, "the kernel killed the process that reads the capture"),
    ],
)
def test_one_that_is_killed_is_told_of(
    kills: int, reason: Reason, told: str, capture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before_and_after = iter([3, 3 + kills])
    monkeypatch.setattr(capture_reader, "memory_kills", lambda: next(before_and_after))
    monkeypatch.setattr(capture_reader, "has_pytorch", lambda: False)
    reader = CaptureReader(verbose=False)
    os.kill(wait_until_it_runs(), signal.SIGKILL)
    with pytest.raises(TrainerError, match=told) as failure:
        reader.read(capture, CONFIG)
    reader.close()
    assert failure.value.reason is reason


def test_one_that_nobody_needs_is_gone(reader: CaptureReader) -> None:
    wait_until_it_runs()
    reader.close()
    assert not readers()


def test_it_goes_with_who_started_it() -> None:
    program = (
        "import os, time\n"
        "from splat_trainer.cli.capture_reader import CaptureReader\n"
        "reader = CaptureReader(verbose=False)\n"
        "print(reader._child.process.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        pid = int(process.stdout.readline())
        assert not _is_gone(pid)
        process.kill()
    while not _is_gone(pid):
        time.sleep(0.01)  # the test's own time limit ends it


def test_requests_to_stop_are_not_for_it(reader: CaptureReader, capture: Path) -> None:
    pid = wait_until_it_runs()
    ignored = 1 << (signal.SIGTERM - 1)
    while not int(_field(pid, "SigIgn"), 16) & ignored:
        time.sleep(0.01)
    os.kill(pid, signal.SIGTERM)
    assert len(reader.read(capture, CONFIG).train_views) == 5


def test_nobody_is_shown_the_command_that_nobody_calls() -> None:
    assert "reader" not in build_parser().format_help()


def _is_gone(pid: int) -> bool:
    try:
        return _field(pid, "State").strip().startswith("Z")
    except OSError:
        return True


def _field(pid: int, name: str) -> str:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(line.partition(":")[2] for line in lines if line.startswith(f"{name}:"))
