"""Memory on a GPU: images that do not fit in it, and a splat that does not."""

import gc
import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from splat_trainer.capture.load import load_scene
from splat_trainer.capture.scene import Scene
from splat_trainer.capture.synthetic import make_synthetic_capture
from splat_trainer.contract import TrainConfig, TrainerError
from splat_trainer.contract.result import Reason
from splat_trainer.optimize.schedule import schedule_for
from splat_trainer.train import views
from splat_trainer.train.loop import train
from splat_trainer.train.views import DeviceViews
from tests.gpu.test_training import Silent

CUDA = torch.device("cuda")


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    folder = tmp_path_factory.mktemp("capture")
    make_synthetic_capture(folder)
    return load_scene(folder, TrainConfig())


def test_images_over_their_share_of_the_gpu_stay_with_the_host_and_train_alike(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = TrainConfig(iterations=300, device="cuda")
    resident = train(scene, config, work_dir=tmp_path, observer=Silent())
    monkeypatch.setattr(views, "_RESIDENT_SHARE", 0.0)
    held = DeviceViews(scene.train_views, CUDA)
    for index, view in enumerate(scene.train_views):
        assert held._images[index].is_pinned()
        assert held.pixels(index).is_cuda
        assert torch.equal(held.pixels(index).cpu(), torch.tensor(view.image))
    pinned = train(scene, config, work_dir=tmp_path, observer=Silent())
    assert resident.evaluation
    assert pinned.evaluation
    assert abs(pinned.evaluation.psnr - resident.evaluation.psnr) < 1


def test_out_of_memory_names_a_cap_and_that_cap_fits(scene: Scene, tmp_path: Path) -> None:
    def run(max_gaussians: int | None) -> tuple[int, TrainerError | None]:
        config = TrainConfig(
            preset="reference", iterations=3000, max_gaussians=max_gaussians, device="cuda"
        )
        greedy = replace(schedule_for(config), grow_gradient=0.0)
        try:
            outcome = train(scene, config, work_dir=tmp_path, observer=Silent(), schedule=greedy)
        except TrainerError as error:
            return 0, error.with_traceback(None)
        return len(outcome.gaussians), None

    def free() -> None:
        gc.collect()
        torch.cuda.empty_cache()

    free()
    allowed = torch.cuda.memory_reserved() + 128 * 2**20
    torch.cuda.set_per_process_memory_fraction(allowed / torch.cuda.mem_get_info()[1])
    try:
        _, error = run(None)
        assert error
        assert error.reason is Reason.OUT_OF_GPU_MEMORY
        told = re.search(r"with ([\d,]+) Gaussians .* maxGaussians to (\d+)", error.message)
        assert told, error.message
        cap = int(told[2])
        assert cap < int(told[1].replace(",", ""))
        error.__cause__ = error.__context__ = None  # whose frames hold the tensors of that run
        free()
        count, error = run(cap)
        assert error is None
        assert 0 < count <= cap
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
