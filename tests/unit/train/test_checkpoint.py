"""Checkpoints are whole or absent, run no code, and are refused where they do not fit."""

import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from splat_trainer.capture.scene import Scene, View
from splat_trainer.contract import TrainConfig, TrainerError
from splat_trainer.contract.result import Reason
from splat_trainer.optimize.adam import GaussianOptimizer
from splat_trainer.optimize.schedule import Schedule
from splat_trainer.train.checkpoint import (
    Checkpoint,
    check_resumable,
    load_checkpoint,
    save_checkpoint,
    within,
)
from splat_trainer.train.checkpoint_files import newest_checkpoint
from splat_trainer.train.observer import CurvePoint
from tests.unit.rasterize.scenes import random_gaussians

VIEWS = ("a.png", "b.png")


def checkpoint(step: int = 12) -> Checkpoint:
    gaussians = random_gaussians(20).detach()
    return Checkpoint(
        step=step,
        gaussians=gaussians,
        adam=GaussianOptimizer(gaussians, Schedule(100), 1.0).state(),
        strategy={"gradient_sum": torch.rand(20), "times_seen": torch.ones(20)},
        rng=torch.Generator().manual_seed(4).get_state(),
        device="cpu",
        seconds=3.5,
        curve=(CurvePoint(10, 1.5, 0.25, 20), CurvePoint(12, 1.75, 0.2, 20, 21.5)),
        config=TrainConfig(iterations=100, max_gaussians=5000),
        views=VIEWS,
    )


def scene(*names: str) -> Scene:
    views = tuple(
        View(name, np.eye(4), np.eye(3), np.zeros((2, 2, 3), dtype=np.uint8)) for name in names
    )
    return Scene(
        views,
        (),
        np.zeros((4, 3), dtype=np.float32),
        np.zeros((4, 3), dtype=np.uint8),
        np.eye(4),
        1.0,
    )


def test_all_comes_back(tmp_path: Path) -> None:
    saved = checkpoint()
    path = save_checkpoint(saved, tmp_path / "new" / "checkpoints")
    back = load_checkpoint(path)
    assert torch.equal(back.gaussians.shN, saved.gaussians.shN)
    assert torch.equal(back.rng, saved.rng)
    assert torch.equal(back.strategy["gradient_sum"], saved.strategy["gradient_sum"])
    assert torch.equal(back.adam["first_moments"]["means"], saved.adam["first_moments"]["means"])
    for field in ("step", "device", "seconds", "curve", "config", "views"):
        assert getattr(back, field) == getattr(saved, field), field
    assert back.config.model_fields_set == saved.config.model_fields_set


def test_one_of_before_sh_was_one_tensor_is_read(tmp_path: Path) -> None:
    path = save_checkpoint(checkpoint(), tmp_path)
    document = torch.load(path, weights_only=True)
    sh = document["gaussians"].pop("sh")
    document["gaussians"] |= {"sh0": sh[:, :1].clone(), "shN": sh[:, 1:].clone()}
    torch.save(document, path)
    assert torch.equal(load_checkpoint(path).gaussians.sh, sh)


def test_a_folder_means_its_newest_and_older_ones_go(tmp_path: Path) -> None:
    for step in (5, 900, 12_000):
        save_checkpoint(checkpoint(step), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint_0012000.pt"]
    assert load_checkpoint(tmp_path).step == 12_000
    assert newest_checkpoint(tmp_path) == tmp_path / "checkpoint_0012000.pt"


def test_what_is_not_there_is_not_found(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none.pt"):
        with pytest.raises(TrainerError) as caught:
            load_checkpoint(path)
        assert caught.value.reason is Reason.CAPTURE_NOT_FOUND


def test_a_name_that_no_file_can_have_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainerError, match="name another place") as caught:
        load_checkpoint(tmp_path / ("x" * 300))
    assert caught.value.reason is Reason.INVALID_CONFIGURATION


def test_a_checkpoint_cut_anywhere_is_refused_in_one_line(tmp_path: Path) -> None:
    content = save_checkpoint(checkpoint(), tmp_path).read_bytes()
    for tenth in range(10):
        path = tmp_path / "cut.pt"
        path.write_bytes(content[: len(content) * tenth // 10])
        with pytest.raises(TrainerError) as caught:
            load_checkpoint(path)
        assert caught.value.reason is Reason.INVALID_CONFIGURATION
        assert "\n" not in caught.value.message


class _Evil:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def test_a_checkpoint_runs_no_code(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    torch.save({"format": _Evil(victim)}, tmp_path / "evil.pt")
    (tmp_path / "plain.pt").write_bytes(pickle.dumps(_Evil(victim)))
    for name in ("evil.pt", "plain.pt"):
        with pytest.raises(TrainerError, match="no whole checkpoint") as caught:
            load_checkpoint(tmp_path / name)
        assert "weights_only" not in caught.value.message
    assert not victim.exists()


@pytest.mark.parametrize(
    "change",
    [
        {"format": "another"},
        {"step": "many"},
        {"gaussians": {}},
        {"strategy": {"gradient_sum": torch.rand(3)}},
        {"curve": [(1,)]},
        {"config": {"iterations": -1}},
        {"views": 7},
    ],
)
def test_a_document_with_something_wrong_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    path = save_checkpoint(checkpoint(), tmp_path)
    document = torch.load(path, weights_only=True)
    torch.save({**document, **change}, path)
    with pytest.raises(TrainerError) as caught:
        load_checkpoint(path)
    assert caught.value.reason is Reason.INVALID_CONFIGURATION


def test_a_write_that_fails_says_so_and_leaves_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "file"
    folder.write_text("in the way")
    with pytest.raises(TrainerError, match="name another place") as caught:
        save_checkpoint(checkpoint(), folder)
    assert caught.value.reason is Reason.INVALID_CONFIGURATION
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_full_disk_is_storages_fault_and_the_old_checkpoint_stays(
    tmp_path: Path,
) -> None:
    save_checkpoint(checkpoint(5), tmp_path)
    (tmp_path / ".checkpoint_0000012.pt.partial").symlink_to("/dev/full")
    with pytest.raises(TrainerError, match="free space") as caught:
        save_checkpoint(checkpoint(12), tmp_path)
    assert caught.value.reason is Reason.STORAGE_UNAVAILABLE
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint_0000005.pt"]


def test_only_the_same_capture_and_kind_of_splat_can_go_on() -> None:
    saved = checkpoint()
    check_resumable(saved, scene(*VIEWS), saved.config)
    for changed in ({"sh_degree": 1}, {"strategy": "absgrad"}):
        with pytest.raises(TrainerError, match=next(iter(changed))):
            check_resumable(saved, scene(*VIEWS), saved.config.model_copy(update=changed))
    with pytest.raises(TrainerError, match="views that are not this"):
        check_resumable(replace(saved, views=("a.png", "c.png")), scene(*VIEWS), saved.config)


def test_a_lower_cap_takes_the_least_opaque_out_of_all_that_is_kept_of_them() -> None:
    saved = checkpoint()
    saved = replace(saved, adam={**saved.adam, "pending": {"seen": torch.arange(20)}})
    cut = within(saved, 12)
    rows = saved.gaussians.opacities.argsort(descending=True)[:12].sort().values
    assert torch.equal(cut.gaussians.means, saved.gaussians.means[rows])
    assert torch.equal(cut.strategy["gradient_sum"], saved.strategy["gradient_sum"][rows])
    assert torch.equal(cut.adam["pending"]["seen"], rows)
    GaussianOptimizer(cut.gaussians, Schedule(100), 1.0).load_state(cut.adam)
    for cap in (None, 20, 21):
        assert within(saved, cap) is saved
