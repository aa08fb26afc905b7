"""The commands on a GPU: what doctor finds, and what a training tells of the GPU's memory."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from splat_trainer.capture.synthetic import make_synthetic_capture
from splat_trainer.cli.main import main
from splat_trainer.contract import ExitCode


def test_doctor_finds_the_gpu_and_its_kernels(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--device", "cuda", "--json"]) == ExitCode.DONE
    out = capsys.readouterr().out
    print(out)
    assert torch.cuda.get_device_name() in out


def test_a_training_tells_its_memory_and_its_splat_measures_the_same_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_synthetic_capture(tmp_path / "capture")
    data, out = str(tmp_path / "capture"), tmp_path / "out"
    run = ["train", "--data", data, "--output", str(out), "--iterations=600", "--progress=lines"]
    assert main(run) == ExitCode.DONE
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    trained = [line for line in lines if line.get("gaussians")]
    assert trained
    assert all(line["gpuMemoryBytes"] > 0 for line in trained)
    result = json.loads((out / "result.json").read_text())
    assert result["gpu"] == torch.cuda.get_device_name()
    assert result["peakGpuMemoryBytes"] > trained[-1]["gpuMemoryBytes"]

    assert main(["eval", str(out / "point_cloud.ply"), "--data", data, "--json"]) == ExitCode.DONE
    again = json.loads(capsys.readouterr().out)
    assert abs(again["psnr"] - result["psnr"]) < 0.02


def test_a_training_has_its_kernels_ready_when_its_steps_begin(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_synthetic_capture(tmp_path / "capture")
    run = ["train", "--data", str(tmp_path / "capture"), "--output", str(tmp_path / "out")]
    assert main([*run, "--iterations=20", "--progress=lines", "--device=cuda"]) == ExitCode.DONE
    told = capsys.readouterr()
    lines = [json.loads(line) for line in told.out.splitlines()]
    stages = list(dict.fromkeys(line["stage"] for line in lines))
    begun = ["Fetching", "Loading", "Training", "Evaluating", "Exporting"]
    assert [stage for stage in stages if stage != "Compiling"] == begun
    assert "Compiling" not in stages or stages[2] == "Compiling"  # only where it is waited for
    result = json.loads((tmp_path / "out" / "result.json").read_text())
    assert result["kernels"]["source"]
    assert told.err.count("kernels of our own: ") == 1
    seconds = json.loads((tmp_path / "out" / "metrics.json").read_text())["seconds"]
    assert 0 < sum(seconds.values()) <= result["totalSeconds"]


def test_the_context_that_the_driver_is_woken_for_is_the_one_that_pytorch_takes() -> None:
    program = (
        "import ctypes; from splat_trainer.kernels.driver import wake_driver; "
        "wake_driver().join(); driver = ctypes.CDLL('libcuda.so.1'); "
        "flags, active = ctypes.c_uint(), ctypes.c_int(); "
        "driver.cuDevicePrimaryCtxGetState(0, ctypes.byref(flags), ctypes.byref(active)); "
        "print(active.value); import torch; print(int(torch.ones(3, device='cuda').sum()))"
    )
    told = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert told.stdout.split() == ["1", "3"], told.stderr
