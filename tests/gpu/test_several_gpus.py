"""One scene on two GPUs; on a machine with one, both ranks take that."""

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from splat_trainer.capture.synthetic import make_synthetic_capture
from splat_trainer.contract import ExitCode
from splat_trainer.distributed.gpu_count import visible_gpus
from tests.unit.distributed.calls import Run

PROGRAM = "splat_trainer.cli" if torch.cuda.device_count() > 1 else "tests.gpu.on_one_gpu"


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("capture")
    make_synthetic_capture(folder)
    return folder


@pytest.fixture
def run(capture: Path, tmp_path: Path) -> Iterator[Callable[..., Run]]:
    runs: list[Run] = []

    def start(gpus: int = 2, name: str = "out", **settings: Any) -> Run:
        runs.append(Run(capture, tmp_path / name, gpus, program=PROGRAM, device="cuda", **settings))
        return runs[-1]

    yield start
    for one in runs:
        one.process.kill()
        one.process.wait()


def test_the_driver_counts_the_gpus_that_torch_sees() -> None:
    assert visible_gpus() == torch.cuda.device_count()


@pytest.mark.parametrize(
    ("settings", "iterations"),
    [({"strategy": "default"}, 2000), ({"strategy": "mcmc"}, 2000), ({"preset": "fast"}, 6000)],
)
def test_two_gpus_make_as_good_a_splat_as_one(
    run: Callable[..., Run], settings: dict[str, Any], iterations: int
) -> None:
    """That replicas stay the same bit by bit is proven as they train, or the run fails.

    In 6,000 steps each draws two views before they exchange.
    """
    psnr = {}
    for gpus in (1, 2):
        one = run(gpus, f"on-{gpus}", iterations=iterations, max_gaussians=20_000, **settings)
        code, errors = one.end()
        assert code == ExitCode.DONE, errors
        psnr[gpus] = one.result()["psnr"]
        metrics = json.loads((one.output / "metrics.json").read_text())
        assert metrics["gpus"] == gpus
        print(gpus, metrics["seconds"], metrics["iterationsPerSecond"], psnr[gpus])
    assert psnr[2] > psnr[1] - 0.5


def test_a_killed_rank_ends_the_run_though_the_other_waits_in_a_kernel(
    run: Callable[..., Run],
) -> None:
    one = run(iterations=1_000_000, max_gaussians=20_000)
    one.wait_for_steps()
    leader, follower = one.ranks()
    began = time.monotonic()
    os.kill(follower, signal.SIGKILL)
    code, errors = one.end()
    print(f"ended after {time.monotonic() - began:.1f} s")
    assert code == ExitCode.BUG, errors
    assert "rank 1 of 2 was ended by SIGKILL" in one.result()["message"]
    assert not Path(f"/proc/{leader}").exists()


def test_sigterm_stops_both_and_one_gpu_goes_on(run: Callable[..., Run]) -> None:
    one = run(iterations=1_000_000, max_gaussians=20_000)
    one.wait_for_steps()
    one.process.send_signal(signal.SIGTERM)
    code, errors = one.end()
    assert code == ExitCode.INTERRUPTED, errors
    step = one.result()["checkpoint"]["iteration"]
    rest = run(1, iterations=step + 100, max_gaussians=20_000)
    assert rest.end()[0] == ExitCode.DONE
    assert rest.result()["iterations"] == step + 100
