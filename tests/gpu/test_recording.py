"""Training by a CUDA graph: it is used, it follows every change, and it ends where it should."""

from pathlib import Path

import pytest
import torch

from splat_trainer.capture.load import load_scene
from splat_trainer.capture.scene import Scene
from splat_trainer.capture.synthetic import make_synthetic_capture
from splat_trainer.contract import TrainConfig
from splat_trainer.optimize.schedule import schedule_for
from splat_trainer.optimize.strategies.budget import BudgetStrategy
from splat_trainer.rasterize.gsplat_cuda import GsplatRasterizer
from splat_trainer.train.evaluation import evaluate
from splat_trainer.train.training import Training

CUDA = torch.device("cuda")
STEPS = 400


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    folder: Path = tmp_path_factory.mktemp("capture")
    make_synthetic_capture(folder)
    return load_scene(folder, TrainConfig())


def training_of(scene: Scene, strategy: str) -> Training:
    config = TrainConfig.model_validate(
        {
            "iterations": STEPS,
            "strategy": strategy,
            "max_gaussians": 4000,
            "densification_interval": 50,
            "device": "cuda",
        }
    )
    return Training(scene, config, schedule_for(config), device=CUDA, rasterizer=GsplatRasterizer())


@pytest.mark.parametrize("strategy", ["default", "absgrad", "mcmc", "budget"])
def test_a_run_of_replays_is_as_good_as_one_by_the_host(scene: Scene, strategy: str) -> None:
    psnr = []
    for recorded in (True, False):
        training = training_of(scene, strategy)
        if not recorded:
            training._looking._recorded = None
        losses = [training.advance().clone() for _ in range(STEPS)]
        assert torch.stack(losses).isfinite().all()
        assert (training._looking.replays > STEPS // 3) == recorded
        psnr.append(evaluate(training.gaussians, scene.test_views, device=CUDA).psnr)
    print(strategy, psnr)
    assert abs(psnr[0] - psnr[1]) < 1


def test_the_first_replays_leave_what_the_host_does(scene: Scene) -> None:
    runs = []
    for recorded in (True, False):
        training = training_of(scene, "mcmc")
        if not recorded:
            training._looking._recorded = None
        losses = torch.stack([training.advance().clone() for _ in range(10)])
        assert (training._looking.replays >= 8) == recorded
        runs.append((losses, training.gaussians))
    assert torch.allclose(runs[0][0], runs[1][0], rtol=1e-3)
    for (name, one), (_, other) in zip(runs[0][1], runs[1][1], strict=True):
        assert (one - other).norm() / other.norm() < 1e-3, name


def test_replays_of_an_epoch_that_is_looked_back_at_add_up_what_the_host_does(
    scene: Scene,
) -> None:
    views = len(scene.train_views)
    votes = []
    for recorded in (True, False):
        training = training_of(scene, "budget")
        if not recorded:
            training._looking._recorded = None
        strategy = training._strategy
        assert isinstance(strategy, BudgetStrategy)
        for _ in range(strategy._plan.events[0] - 5):
            training.advance()
        assert (training._looking.replays > views) == recorded
        votes.append(training._strategy.state()["votes"].clone())
    assert votes[1].sum() > 0
    assert (votes[0] - votes[1]).norm() / votes[1].norm() < 0.05


def test_memory_does_not_grow_with_the_count_of_recordings(scene: Scene) -> None:
    training = training_of(scene, "default")
    for _ in range(20):
        training.advance()
    recorded = training._looking._recorded
    assert recorded is not None
    reserved = []
    for _ in range(30):
        recorded._last_key = ()  # as if the Gaussians were others
        if recorded._recording is not None:
            object.__setattr__(recorded._recording, "key", ())
        for _ in range(3):
            training.advance()
        reserved.append(torch.cuda.memory_reserved())
    assert reserved[-1] - reserved[4] < 64 * 2**20


@pytest.mark.parametrize("strategy", ["default", "mcmc", "budget"])
@pytest.mark.parametrize("recorded", [False, True])
def test_no_step_waits_for_the_gpu(scene: Scene, strategy: str, recorded: bool) -> None:
    training = training_of(scene, strategy)
    if not recorded:
        training._looking._recorded = None
    for _ in range(10):
        training.advance()
    torch.cuda.set_sync_debug_mode("error")
    try:
        for _ in range(10):
            training.advance()
    finally:
        torch.cuda.set_sync_debug_mode("default")
