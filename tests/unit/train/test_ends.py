"""What stands at the ends of a training: the device, the export, the memory's advice."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from splat_trainer.capture.cores import usable_cores
from splat_trainer.capture.scene import Scene
from splat_trainer.contract import TrainConfig, TrainerError
from splat_trainer.contract.result import Reason
from splat_trainer.gaussians.formats.ply import read_ply
from splat_trainer.train.device import choose_device
from splat_trainer.train.export import export
from splat_trainer.train.memory import fitting_cap, what_fits
from splat_trainer.train.stopwatch import Stopwatch
from tests.unit.rasterize.scenes import random_gaussians


def test_a_gpu_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto").type == choose_device("cpu").type == "cpu"
    with pytest.raises(TrainerError) as caught:
        choose_device("cuda")
    assert caught.value.reason is Reason.NO_GPU


@pytest.mark.parametrize(
    ("quota", "cores"),
    [("100000 100000", 1), ("50000 100000", 1), ("0 0", None), ("max 100000", None), ("", None)],
)
def test_a_quota_of_cores_is_kept(tmp_path: Path, quota: str, cores: int | None) -> None:
    file = tmp_path / "cpu.max"
    file.write_text(quota)
    assert usable_cores(file) == (cores or len(os.sched_getaffinity(0)))
    assert usable_cores(tmp_path / "none") == len(os.sched_getaffinity(0))


def test_the_export_is_in_the_frame_that_was_asked_for(tmp_path: Path) -> None:
    normalized_from_capture = np.diag([0.5, 0.5, 0.5, 1.0])
    normalized_from_capture[:3, 3] = [1, 2, 3]
    points = np.zeros((0, 3))
    scene = Scene(
        (), (), points.astype(np.float32), points.astype(np.uint8), normalized_from_capture, 1.0
    )
    gaussians = random_gaussians(5).detach()
    summary = export(gaussians, scene, tmp_path / "n.ply", frame="normalized")
    assert (summary.gaussians, summary.dropped) == (5, 0)
    assert summary.bytes == summary.path.stat().st_size
    assert torch.equal(read_ply(summary.path).means, gaussians.means)
    summary = export(gaussians, scene, tmp_path / "c.ply", frame="capture")
    moved = read_ply(summary.path)
    assert torch.allclose(moved.means, (gaussians.means - torch.tensor([1, 2, 3])) * 2, atol=1e-5)
    assert torch.allclose(moved.scales.exp(), gaussians.scales.exp() * 2, rtol=1e-5)


@pytest.mark.parametrize(
    ("trained", "cap"), [(1_234_567, 980_000), (250_000, 200_000), (900, 1000), (10_000, 8000)]
)
def test_the_advised_cap_leaves_room(trained: int, cap: int) -> None:
    assert fitting_cap(trained) == cap


@pytest.mark.parametrize(
    ("target", "advice"),
    [
        (None, "set maxGaussians to 200000"),
        (150_000, "set maxGaussians to 200000"),
        (1_000_000, "set targetGaussians to 200000"),
    ],
)
def test_the_advice_is_one_that_the_configuration_takes(target: int | None, advice: str) -> None:
    assert what_fits(250_000, target) == advice
    field, _, cap = advice.removeprefix("set ").partition(" to ")
    given = {} if target is None else {"targetGaussians": target}
    TrainConfig.model_validate({**given, field: int(cap)})


def test_seconds_are_counted_once() -> None:
    watch = Stopwatch(torch.device("cpu"))
    with watch.measure("outer"):
        with watch.measure("inner"):
            pass
        before = watch.seconds("inner")
        sum(range(10_000))
        assert watch.seconds("inner") == before
        assert watch.seconds("outer") > 0
    after = watch.seconds("outer")
    assert watch.seconds("outer") == after
    assert watch.seconds("nothing") == 0
