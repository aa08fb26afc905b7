"""`splat-trainer train --gpus 2` as a user calls it, its two ranks on the CPU."""

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from splat_trainer.capture.load import load_scene
from splat_trainer.capture.synthetic import make_synthetic_capture
from splat_trainer.contract import ExitCode, TrainConfig
from splat_trainer.distributed.exchange import Exchange
from splat_trainer.gaussians.formats.ply import read_ply
from splat_trainer.optimize.schedule import schedule_for
from splat_trainer.rasterize.reference import ReferenceRasterizer
from splat_trainer.train.training import Training
from tests.unit.distributed.calls import Run
from tests.unit.distributed.in_threads import in_threads

FEW = {"iterations": 21, "densification_interval": 5, "max_gaussians": 2000}


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("capture")
    make_synthetic_capture(folder, views=8, size=32)
    return folder


@pytest.fixture
def run(capture: Path, tmp_path: Path) -> Iterator[Callable[..., Run]]:
    runs: list[Run] = []

    def start(**settings: Any) -> Run:
        runs.append(Run(capture, tmp_path / "out", **settings))
        return runs[-1]

    yield start
    for one in runs:
        one.process.kill()
        one.process.wait()


def test_two_processes_make_what_two_replicas_do(capture: Path, run: Callable[..., Run]) -> None:
    one = run(**FEW)
    code, errors = one.end()
    assert code == 0, errors
    assert one.result()["iterations"] == 21
    made = read_ply(one.output / "point_cloud.ply")

    config = TrainConfig.model_validate({"device": "cpu", **FEW})
    scene = load_scene(capture, config)

    def train(exchange: Exchange) -> Training:
        training = Training(
            scene,
            config,
            schedule_for(config),
            device=torch.device("cpu"),
            rasterizer=ReferenceRasterizer(),
            exchange=exchange,
        )
        while training.step < config.iterations:
            training.advance()
        return training

    replica = in_threads(2, train)[0].gaussians
    replica = replica.replacing(quats=torch.nn.functional.normalize(replica.quats))
    for name, tensor in replica:
        assert torch.allclose(getattr(made, name), tensor, rtol=1e-3, atol=1e-4), name


def test_sigterm_stops_all_and_one_process_goes_on(run: Callable[..., Run]) -> None:
    one = run(iterations=20_000, max_gaussians=2000)
    one.wait_for_steps()
    assert {address for pid in one.ranks() for address in listening(pid)} == {"127.0.0.1"}
    one.process.send_signal(signal.SIGTERM)
    code, errors = one.end()
    assert code == ExitCode.INTERRUPTED, errors
    assert "Traceback" not in errors
    assert errors.count("splat-trainer: error:") == 1
    document = one.result()
    assert document["reason"] == "Interrupted"
    step = document["checkpoint"]["iteration"]
    assert 0 < step < 20_000
    assert step % 2 == 0
    rest = run(gpus=1, iterations=step + 3, max_gaussians=2000)
    code, errors = rest.end()
    assert code == 0, errors
    assert rest.result()["iterations"] == step + 3
    assert f"going on from checkpoint_{step:07d}" in errors


def test_a_signal_to_all_processes_at_once_saves_the_checkpoint_too(
    run: Callable[..., Run],
) -> None:
    """As a service manager or a batch system sends it; the first process passes it on as well."""
    one = run(iterations=20_000, max_gaussians=2000)
    one.wait_for_steps()
    for pid in (*one.ranks(), one.process.pid):
        os.kill(pid, signal.SIGTERM)
    code, errors = one.end()
    assert code == ExitCode.INTERRUPTED, errors
    assert 0 < one.result()["checkpoint"]["iteration"] < 20_000


def listening(pid: int) -> set[str]:
    """The addresses that a process listens on, by proc(5); one of IPv6 as it stands there."""
    own = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):  # closed meanwhile
            own.add(str(descriptor.readlink()))
    found = set()
    for family in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{family}").read_text().splitlines()[1:]:
            fields = line.split()
            address, state, inode = fields[1].partition(":")[0], fields[3], fields[9]
            if state == "0A" and f"socket:[{inode}]" in own:
                octets = bytes.fromhex(address)[::-1]
                found.add(".".join(map(str, octets)) if family == "tcp" else address)
    return found


def test_a_killed_rank_ends_the_run_and_is_named(run: Callable[..., Run]) -> None:
    one = run(iterations=20_000, max_gaussians=2000)
    one.wait_for_steps()
    leader, follower = one.ranks()
    os.kill(follower, signal.SIGKILL)
    code, errors = one.end()
    assert code == ExitCode.BUG, errors
    assert "Traceback" not in errors
    assert errors.count("splat-trainer: error:") == 1
    assert "rank 1 of 2 was ended by SIGKILL" in one.result()["message"]
    assert not Path(f"/proc/{leader}").exists()


def test_what_rank_0_refuses_is_told_once(tmp_path: Path) -> None:
    one = Run(tmp_path / "nowhere", tmp_path / "out", iterations=20)
    code, errors = one.end()
    assert code == ExitCode.NOT_FOUND
    assert errors.count("nowhere") == 1
    assert one.result()["reason"] == "CaptureNotFound"
