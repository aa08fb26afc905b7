"""Several files at once, of which one fails."""

import threading
from pathlib import Path

import pytest

from splat_trainer.contract import Reason, TrainerError
from splat_trainer.storage.base import Entry, OnBytes
from splat_trainer.storage.fetch import download_all, fetch_capture
from splat_trainer.storage.local import LocalStorage
from tests.unit.unprivileged import unprivileged


class OneFailsOneGoesOn(LocalStorage):
    """`good` comes byte by byte until it is told to end; `bad` fails once `good` has begun."""

    begun = threading.Event()
    ended = False

    def download(self, name: str, path: Path, on_bytes: OnBytes | None = None) -> None:
        assert on_bytes is not None
        if name == "bad":
            assert self.begun.wait(20)
            raise TrainerError(Reason.STORAGE_UNAVAILABLE, "the network is gone")
        waiting = threading.Event()
        for _ in range(2_000):
            try:
                on_bytes(1)
            except Exception:
                OneFailsOneGoesOn.ended = True
                raise
            self.begun.set()
            waiting.wait(0.005)


def test_downloads_under_way_end_when_another_fails(tmp_path: Path) -> None:
    """So does a signal end them, which is raised where the downloads are waited for."""
    with pytest.raises(TrainerError, match="the network is gone"):
        download_all(
            OneFailsOneGoesOn(tmp_path), [Entry("bad", 1), Entry("good", 2_000)], tmp_path, None
        )
    assert OneFailsOneGoesOn.ended


class OneIsInterruptedOneStalls(LocalStorage):
    """`stalled` brings no byte until it may; `asked` is where the signal comes."""

    begun, may_end, ended = threading.Event(), threading.Event(), threading.Event()

    def download(self, name: str, path: Path, on_bytes: OnBytes | None = None) -> None:
        if name == "asked":
            assert self.begun.wait(20)
            raise KeyboardInterrupt
        self.begun.set()
        self.may_end.wait(20)
        self.ended.set()


def test_a_signal_does_not_wait_for_a_server_that_stalls(tmp_path: Path) -> None:
    storage = OneIsInterruptedOneStalls(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        download_all(storage, [Entry("asked", 1), Entry("stalled", 1)], tmp_path, None)
    assert not storage.ended.is_set()
    storage.may_end.set()


def test_a_name_that_no_folder_can_have_is_the_configurations_fault(tmp_path: Path) -> None:
    with pytest.raises(TrainerError, match="name another place") as caught:
        fetch_capture(str(tmp_path / ("x" * 300)), tmp_path)
    assert caught.value.reason is Reason.INVALID_CONFIGURATION


def test_a_capture_below_what_may_not_be_entered_is_denied(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    (closed / "capture").mkdir(parents=True)
    closed.chmod(0)
    try:
        with unprivileged(), pytest.raises(TrainerError, match="let user") as caught:
            fetch_capture(str(closed / "capture"), tmp_path)
    finally:
        closed.chmod(0o700)
    assert caught.value.reason is Reason.STORAGE_DENIED
