"""A training's start: PyTorch and kernels beside the capture, and which fault is told of two."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from splat_trainer.capture.synthetic import make_synthetic_capture
from splat_trainer.cli.getting_ready import GettingReady
from splat_trainer.cli.main import main
from splat_trainer.contract import ExitCode, Reason, TrainConfig, TrainerError
from splat_trainer.train import device as devices
from splat_trainer.train import ready

_LATE_TORCH = """
import importlib, os, sys, time
from pathlib import Path

until = time.monotonic() + 60
while not Path(os.environ["TORCH_IS_THERE"]).exists():
    time.sleep(0.01)
    if time.monotonic() > until:
        raise ImportError("PyTorch was never wanted")
sys.path.remove(str(Path(__file__).parents[1]))
del sys.modules["torch"]
importlib.import_module("torch")
"""
"""As torch/__init__.py: nothing more of PyTorch is there before a file is."""


@pytest.fixture(autouse=True)
def _threads_end() -> Iterator[None]:
    yield
    for thread in threading.enumerate():
        if thread.name == "getting-ready":
            thread.join()


@contextmanager
def a_training_that_waits_for_torch(folder: Path) -> Iterator[subprocess.Popen[str]]:
    make_synthetic_capture(folder / "capture", views=6, size=32)
    (folder / "site" / "torch").mkdir(parents=True)
    (folder / "site" / "torch" / "__init__.py").write_text(_LATE_TORCH)
    arguments = ["--data", str(folder / "capture"), "--output", str(folder / "out")]
    environ = {"PYTHONPATH": str(folder / "site"), "TORCH_IS_THERE": str(folder / "torch")}
    with subprocess.Popen(
        [
            *(sys.executable, "-m", "splat_trainer.cli", "train", *arguments),
            *("--device=cpu", "--iterations=1", "--progress=none"),
        ],
        env={**os.environ, **environ},
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr
        told = ""
        while "views to train on" not in told:
            told = process.stderr.readline()
            assert told, "it ended before it had read the capture"
        yield process


def test_a_capture_is_read_while_pytorch_is_not_there_yet(tmp_path: Path) -> None:
    with a_training_that_waits_for_torch(tmp_path) as process:
        (tmp_path / "torch").touch()
        _, told = process.communicate()
    assert process.returncode == ExitCode.DONE, told
    seconds = json.loads((tmp_path / "out" / "metrics.json").read_text())["seconds"]
    assert seconds["prepare"] > seconds["load"]  # for it was PyTorch that was waited for


def test_a_signal_ends_at_once_what_waits_for_pytorch(tmp_path: Path) -> None:
    with a_training_that_waits_for_torch(tmp_path) as process:
        process.send_signal(signal.SIGTERM)
        _, told = process.communicate()
    assert process.returncode == ExitCode.INTERRUPTED
    assert told.count("\n") == 1
    assert "stopped by SIGTERM" in told


def train_without_a_gpu(folder: Path, data: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setenv("SPLAT_RESULT_PATH", str(folder / "message"))
    arguments = ["train", "--data", str(data), "--output", str(folder / "out"), "--progress=none"]
    assert main([*arguments, "--device=cuda"]) == ExitCode.CONFIG
    return str(json.loads((folder / "message").read_text())["reason"])


def test_without_a_gpu_that_is_told_whatever_else_is_wrong_with_the_capture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert train_without_a_gpu(tmp_path, tmp_path / "nowhere", monkeypatch) == Reason.NO_GPU
    make_synthetic_capture(tmp_path / "capture", views=6, size=32)
    assert train_without_a_gpu(tmp_path, tmp_path / "capture", monkeypatch) == Reason.NO_GPU


def test_once_it_is_known_that_there_is_no_gpu_nothing_more_is_fetched(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = threading.Event()

    def choose(wanted: str) -> torch.device:
        found.wait()
        raise TrainerError(Reason.NO_GPU, "there is none")

    monkeypatch.setattr(devices, "choose_device", choose)
    getting_ready = GettingReady(TrainConfig())
    getting_ready.start()
    getting_ready.check_device()  # nothing is known yet
    found.set()
    with pytest.raises(TrainerError, match="there is none"):
        getting_ready.wait(lambda: None)
    with pytest.raises(TrainerError, match="there is none"):
        getting_ready.check_device()


def test_what_goes_on_beside_leaves_python_as_it_was() -> None:
    before = sys.getswitchinterval()
    getting_ready = GettingReady(TrainConfig(device="cpu"))
    getting_ready.start()
    with pytest.raises(ValueError, match="the capture"), getting_ready.beside():
        assert sys.getswitchinterval() < before
        raise ValueError("the capture")
    assert sys.getswitchinterval() == before


def test_kernels_that_are_at_fault_are_told_after_the_capture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def make_ready(config: TrainConfig, device: torch.device, *, may_compile: bool) -> bool:
        raise TrainerError(Reason.KERNELS_NOT_FOUND, "there are no kernels")

    monkeypatch.setattr(ready, "make_ready", make_ready)
    make_synthetic_capture(tmp_path / "capture", views=6, size=32)
    output = ["--output", str(tmp_path / "out"), "--device=cpu", "--progress=none"]
    missing = main(["train", "--data", str(tmp_path / "nowhere"), *output])
    assert missing == TrainerError(Reason.CAPTURE_NOT_FOUND, "").exit_code
    assert "nowhere" in capsys.readouterr().err
    failed = main(["train", "--data", str(tmp_path / "capture"), *output])
    assert failed == TrainerError(Reason.KERNELS_NOT_FOUND, "").exit_code
    assert "there are no kernels" in capsys.readouterr().err


def test_kernels_are_compiled_in_the_main_thread_which_a_signal_can_stop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls: list[tuple[bool, bool]] = []
    told: list[str] = []

    def make_ready(config: TrainConfig, device: torch.device, *, may_compile: bool) -> bool:
        calls.append((threading.current_thread() is threading.main_thread(), may_compile))
        return may_compile

    monkeypatch.setattr(devices, "choose_device", lambda wanted: torch.device("cuda"))
    monkeypatch.setattr(ready, "make_ready", make_ready)
    getting_ready = GettingReady(TrainConfig())
    getting_ready.start()
    getting_ready.wait(lambda: told.append("kernels"))
    assert calls == [(False, False), (True, True)]
    assert told == ["kernels"]
