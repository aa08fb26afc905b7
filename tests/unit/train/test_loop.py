"""A whole training on the CPU: it learns, stops, goes on alike, and keeps its cap."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from splat_trainer.capture.load import load_scene
from splat_trainer.capture.scene import Scene, View
from splat_trainer.capture.synthetic import make_synthetic_capture
from splat_trainer.contract import ProgressDocument, Stage, TrainConfig, TrainerError
from splat_trainer.contract.result import Reason
from splat_trainer.gaussians.gaussians import Gaussians
from splat_trainer.optimize.growth_plan import count_cap
from splat_trainer.optimize.schedule import schedule_for
from splat_trainer.rasterize.interface import Cameras, Rendering
from splat_trainer.rasterize.reference import ReferenceRasterizer
from splat_trainer.rasterize.tile_room import TileRoom
from splat_trainer.train.checkpoint import load_checkpoint
from splat_trainer.train.loop import train
from splat_trainer.train.outcome import TrainOutcome
from splat_trainer.train.training import Training, capture_size


class Recorder:
    def __init__(self) -> None:
        self.stages: list[Stage] = []
        self.documents: list[ProgressDocument] = []

    def stage(self, stage: Stage) -> None:
        self.stages.append(stage)

    def progress(self, document: ProgressDocument) -> None:
        self.documents.append(document)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    folder = tmp_path_factory.mktemp("capture")
    make_synthetic_capture(folder, views=12, size=48)
    return load_scene(folder, TrainConfig())


def run(
    scene: Scene,
    work_dir: Path,
    *,
    stop: Callable[[], bool] = lambda: False,
    resume: Path | None = None,
    observer: Recorder | None = None,
    constants: Mapping[str, Any] | None = None,
    **settings: Any,
) -> TrainOutcome:
    config = TrainConfig.model_validate({"iterations": 60, "device": "cpu", **settings})
    return train(
        scene,
        config,
        work_dir=work_dir,
        observer=observer or Recorder(),
        stop=stop,
        resume=resume,
        schedule=replace(schedule_for(config), **(constants or {})),
    )


def stop_before(steps: Iterator[int], last: int) -> bool:
    return next(steps) == last


def test_learns_views_it_has_not_seen(scene: Scene, tmp_path: Path) -> None:
    observer = Recorder()
    outcome = run(scene, tmp_path, observer=observer, iterations=150)
    psnrs = [point.psnr for point in outcome.curve if point.psnr is not None]
    assert outcome.evaluation is not None
    assert outcome.evaluation.psnr == psnrs[-1] > psnrs[0] + 3
    assert outcome.evaluation.psnr > 20
    assert [view.name for view in outcome.evaluation.views] == [
        view.name for view in scene.test_views
    ]
    assert 0 < outcome.evaluation.ssim < 1
    assert observer.stages == [Stage.TRAINING, Stage.EVALUATING]
    assert observer.documents[-1].iteration == outcome.iterations == 150
    assert not outcome.interrupted
    assert outcome.timings.train > outcome.timings.evaluate > 0


def test_the_same_seed_gives_the_same_splat(scene: Scene, tmp_path: Path) -> None:
    first, again, other = (
        run(
            scene, tmp_path, seed=seed, iterations=24, densification_interval=5, max_gaussians=2500
        ).gaussians
        for seed in (1, 1, 2)
    )
    assert all(torch.equal(a, b) for (_, a), (_, b) in zip(first, again, strict=True))
    assert len(other) != len(first) or not torch.equal(other.means, first.means)


@pytest.mark.parametrize("strategy", ["default", "absgrad", "mcmc", "budget"])
def test_a_run_that_was_cut_ends_like_one_that_was_not(
    scene: Scene, tmp_path: Path, strategy: str
) -> None:
    settings: dict[str, Any] = {
        "strategy": strategy,
        "iterations": 40,
        "max_gaussians": 2500,
        "densification_interval": 5,
    }
    whole = run(scene, tmp_path / "whole", **settings)
    steps = iter(range(1000))
    cut = run(scene, tmp_path, stop=lambda: next(steps) == 17, **settings)
    assert cut.interrupted
    assert cut.iterations == 17
    assert cut.evaluation is None
    assert cut.checkpoint is not None
    rest = run(scene, tmp_path, resume=cut.checkpoint.parent, **settings)
    assert rest.iterations == 40
    assert len(rest.gaussians) == len(whole.gaussians)
    for name, tensor in rest.gaussians:
        assert torch.equal(tensor, getattr(whole.gaussians, name)), name
    assert rest.evaluation == whole.evaluation


def test_a_cut_changes_nothing_of_summed_views_small_images_and_every_part_of_a_budget(
    scene: Scene, tmp_path: Path
) -> None:
    settings: dict[str, Any] = {"strategy": "budget", "iterations": 60, "target_gaussians": 2500}
    constants = {
        "score": "variance",
        "consistent_pixels": 0.01,
        "prune_inconsistent": 0.9,
        "fade_every": 15,
        "views_per_step": 3,
        "visible_only": True,
        "coarse_until": ((0.5, 2),),
        "densify_every": 12,
        "densify_from": 0,
    }
    whole = run(scene, tmp_path / "whole", constants=constants, **settings)
    assert len(whole.gaussians) > len(scene.points)
    for stop_at in (11, 29):  # in the middle of three views, and of an event's epoch
        work_dir = tmp_path / str(stop_at)
        cut = run(
            scene,
            work_dir,
            stop=partial(stop_before, iter(range(1000)), stop_at),
            constants=constants,
            **settings,
        )
        assert cut.checkpoint is not None
        rest = run(scene, work_dir, resume=cut.checkpoint, constants=constants, **settings)
        for name, tensor in rest.gaussians:
            assert torch.equal(tensor, getattr(whole.gaussians, name)), (stop_at, name)


def test_a_budget_ends_with_its_cap_which_follows_the_capture_where_none_is_set(
    scene: Scene, tmp_path: Path
) -> None:
    outcome = run(scene, tmp_path, strategy="budget", iterations=60, target_gaussians=2300)
    assert len(outcome.gaussians) == 2300
    free = run(scene, tmp_path, preset="fast", iterations=30)
    config = TrainConfig(preset="fast", iterations=30)
    assert len(free.gaussians) == count_cap(config, schedule_for(config), capture_size(scene))


def test_views_that_are_summed_make_one_step_of_adam(scene: Scene) -> None:
    config = TrainConfig(iterations=4, preset="reference", device="cpu")
    schedule = replace(schedule_for(config), views_per_step=3, densify_every=100)
    training = Training(
        scene, config, schedule, device=torch.device("cpu"), rasterizer=ReferenceRasterizer()
    )
    start = training.gaussians.opacities.clone()
    steps = []
    for _ in range(4):
        training.advance()
        adam = training.checkpoint(0.0, ()).adam
        steps.append((int(adam["steps"]["steps"]), "pending" in adam))
        if training.step == 2:
            assert torch.equal(training.gaussians.opacities, start)
    # The last view of the run has nobody to wait for.
    assert steps == [(0, True), (0, True), (1, False), (2, False)]
    assert not torch.equal(training.gaussians.opacities, start)


@pytest.mark.parametrize("name", ["means", "seen"])
def test_gradients_that_wait_in_a_checkpoint_must_fit_its_gaussians(
    scene: Scene, name: str
) -> None:
    config = TrainConfig(iterations=4, preset="reference", device="cpu")
    schedule = replace(schedule_for(config), views_per_step=3, visible_only=True)
    training = Training(
        scene, config, schedule, device=torch.device("cpu"), rasterizer=ReferenceRasterizer()
    )
    training.advance()
    checkpoint = training.checkpoint(0.0, ())
    checkpoint.adam["pending"][name] = checkpoint.adam["pending"][name][:-1]
    with pytest.raises(TrainerError) as caught:
        Training(
            scene,
            config,
            schedule,
            device=torch.device("cpu"),
            rasterizer=ReferenceRasterizer(),
            checkpoint=checkpoint,
        )
    assert caught.value.reason is Reason.INVALID_CONFIGURATION


def test_early_steps_draw_small_images_and_late_ones_large(scene: Scene) -> None:
    widths: list[int] = []

    class Watched(ReferenceRasterizer):
        def __call__(self, gaussians: Gaussians, cameras: Cameras, **how: Any) -> Rendering:
            widths.append(cameras.width)
            return super().__call__(gaussians, cameras, **how)

    config = TrainConfig(iterations=6, device="cpu")
    schedule = replace(schedule_for(config), coarse_until=((0.5, 2),))
    training = Training(scene, config, schedule, device=torch.device("cpu"), rasterizer=Watched())
    losses = [float(training.advance()) for _ in range(6)]
    assert widths == [24, 24, 24, 48, 48, 48]
    assert all(0 < loss < 1 for loss in losses)


def test_room_is_made_for_large_images_before_the_first_of_them(scene: Scene) -> None:
    """The host learns late of what had no room: all looks until then would be lost."""
    rooms: list[tuple[int, int]] = []

    class Counting(ReferenceRasterizer):
        def make_room(  # type: ignore[override]
            self, gaussians: Gaussians, cameras: Sequence[Cameras]
        ) -> TileRoom:
            pairs = len(gaussians) * cameras[0].width * (2 if rooms else 1)
            return TileRoom(pairs, gaussians.device)

        def __call__(self, gaussians: Gaussians, cameras: Cameras, **how: Any) -> Rendering:
            rooms.append((cameras.width, how["room"].capacity))
            return super().__call__(gaussians, cameras, **how)

    config = TrainConfig(iterations=4, device="cpu")
    schedule = replace(schedule_for(config), coarse_until=((0.5, 2),))
    device = torch.device("cpu")
    training = Training(scene, config, schedule, device=device, rasterizer=Counting())
    for _ in range(4):
        training.advance()
    first = len(training.gaussians) * 48
    assert rooms == [(24, first), (24, first), (48, 2 * first), (48, 2 * first)]


def test_a_finished_checkpoint_is_only_measured(scene: Scene, tmp_path: Path) -> None:
    done = run(scene, tmp_path, iterations=10, checkpoint_interval=9)
    assert done.checkpoint is not None
    rest = run(scene, tmp_path, iterations=9, resume=done.checkpoint)
    assert rest.iterations == 9
    assert rest.evaluation is not None


@pytest.mark.parametrize("strategy", ["default", "absgrad", "mcmc", "budget"])
def test_no_strategy_exceeds_the_cap(scene: Scene, tmp_path: Path, strategy: str) -> None:
    observer = Recorder()
    start = len(scene.points)
    outcome = run(
        scene,
        tmp_path,
        observer=observer,
        strategy=strategy,
        max_gaussians=start + 50,
        target_gaussians=start + 50 if strategy == "budget" else None,
        densification_interval=4,
    )
    assert start < len(outcome.gaussians) <= start + 50


def test_points_over_the_cap_are_thinned_at_the_start(scene: Scene, tmp_path: Path) -> None:
    assert len(scene.points) > 1000
    outcome = run(scene, tmp_path, iterations=3, max_gaussians=1000)
    assert len(outcome.gaussians) <= 1000


def test_checkpoints_come_every_so_often_and_replace_each_other(
    scene: Scene, tmp_path: Path
) -> None:
    outcome = run(scene, tmp_path, iterations=25, checkpoint_interval=10)
    files = sorted(path.name for path in (tmp_path / "checkpoints").iterdir())
    assert files == ["checkpoint_0000020.pt"]
    assert outcome.checkpoint == tmp_path / "checkpoints" / files[0]


def test_each_checkpoint_is_told_of_when_it_can_be_gone_on_from(
    scene: Scene, tmp_path: Path
) -> None:
    told: list[int] = []
    config = TrainConfig(iterations=25, device="cpu", checkpoint_interval=10)

    def saved(path: Path) -> None:
        told.append(load_checkpoint(path).step)
        assert [path] == list((tmp_path / "checkpoints").iterdir())

    train(scene, config, work_dir=tmp_path, observer=Recorder(), on_checkpoint=saved)
    assert told == [10, 20]


def test_every_held_out_view_is_given_with_its_render(scene: Scene, tmp_path: Path) -> None:
    seen: list[tuple[str, tuple[int, ...]]] = []
    config = TrainConfig(iterations=5, device="cpu")
    train(
        scene,
        config,
        work_dir=tmp_path,
        observer=Recorder(),
        on_render=lambda view, image: seen.append((view.name, image.shape)),
    )
    assert seen == [(view.name, view.image.shape) for view in scene.test_views]


def test_nothing_held_out_means_nothing_measured(scene: Scene, tmp_path: Path) -> None:
    all_train = Scene(
        scene.train_views, (), scene.points, scene.points_rgb, np.eye(4), scene.scene_scale
    )
    outcome = run(all_train, tmp_path, iterations=5)
    assert outcome.evaluation is None
    assert outcome.curve


def test_what_a_mask_leaves_out_teaches_nothing(scene: Scene, tmp_path: Path) -> None:
    def masked(view: View, value: int) -> View:
        image = view.image.copy()
        mask = np.ones(image.shape[:2], dtype=bool)
        mask[:, : view.width // 3] = False
        image[~mask] = value
        return View(view.name, view.camtoworld, view.K, image, mask)

    results = []
    for value in (0, 255):
        views = tuple(masked(view, value) for view in scene.train_views)
        changed = Scene(views, (), scene.points, scene.points_rgb, np.eye(4), scene.scene_scale)
        results.append(run(changed, tmp_path, iterations=12).gaussians)
    assert all(torch.equal(a, b) for (_, a), (_, b) in zip(*results, strict=True))


def test_a_capture_without_points_is_refused(scene: Scene, tmp_path: Path) -> None:
    empty = Scene(
        scene.train_views,
        scene.test_views,
        scene.points[:0],
        scene.points_rgb[:0],
        np.eye(4),
        scene.scene_scale,
    )
    with pytest.raises(TrainerError) as caught:
        run(empty, tmp_path)
    assert caught.value.reason is Reason.INVALID_CAPTURE
