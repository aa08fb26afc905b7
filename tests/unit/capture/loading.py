"""Loading a capture in a test."""

from pathlib import Path

import pytest

from splat_trainer.capture.load import load_scene
from splat_trainer.capture.scene import Scene
from splat_trainer.contract import TrainConfig, TrainerError


def fault(folder: Path, config: TrainConfig | None = None) -> TrainerError:
    with pytest.raises(TrainerError) as caught:
        load_scene(folder, config or TrainConfig())
    assert caught.value.message.isprintable()
    return caught.value


def names(scene: Scene) -> tuple[list[str], list[str]]:
    return [v.name for v in scene.train_views], [v.name for v in scene.test_views]
