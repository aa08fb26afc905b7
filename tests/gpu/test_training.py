"""A short training on the GPU: it learns, it goes on where it was cut, it says what is too much."""

from pathlib import Path

import pytest

from splat_trainer.capture.load import load_scene
from splat_trainer.capture.scene import Scene
from splat_trainer.capture.synthetic import make_synthetic_capture
from splat_trainer.contract import ProgressDocument, Stage, TrainConfig
from splat_trainer.contract.presets import Preset
from splat_trainer.train.loop import train


class Silent:
    def stage(self, stage: Stage) -> None:
        pass

    def progress(self, document: ProgressDocument) -> None:
        pass


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    folder = tmp_path_factory.mktemp("capture")
    make_synthetic_capture(folder)
    return load_scene(folder, TrainConfig())


@pytest.mark.parametrize("strategy", ["default", "absgrad", "mcmc"])
def test_learns_the_synthetic_capture_under_a_cap(
    scene: Scene, tmp_path: Path, strategy: str
) -> None:
    config = TrainConfig.model_validate(
        {"iterations": 1500, "strategy": strategy, "max_gaussians": 4000, "device": "cuda"}
    )
    outcome = train(scene, config, work_dir=tmp_path, observer=Silent())
    assert outcome.evaluation is not None
    assert outcome.evaluation.psnr > 28
    assert len(outcome.gaussians) <= 4000
    assert outcome.peak_gpu_memory_bytes


@pytest.mark.parametrize("preset", ["reference", "balanced"])
def test_a_run_that_was_cut_ends_like_one_that_was_not(
    scene: Scene, tmp_path: Path, preset: Preset
) -> None:
    config = TrainConfig(preset=preset, iterations=800, device="cuda")
    whole = train(scene, config, work_dir=tmp_path / "whole", observer=Silent())
    steps = iter(range(10_000))
    cut = train(
        scene, config, work_dir=tmp_path, observer=Silent(), stop=lambda: next(steps) == 390
    )
    assert cut.interrupted
    assert cut.iterations == 390
    rest = train(scene, config, work_dir=tmp_path, observer=Silent(), resume=cut.checkpoint)
    assert whole.evaluation
    assert rest.evaluation
    assert abs(rest.evaluation.psnr - whole.evaluation.psnr) < 1
    assert abs(len(rest.gaussians) / len(whole.gaussians) - 1) < 0.1
