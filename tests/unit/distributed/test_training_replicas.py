"""Several replicas train as one process would that sees all their views at every step."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from splat_trainer.capture.load import load_scene
from splat_trainer.capture.scene import Scene
from splat_trainer.capture.synthetic import make_synthetic_capture
from splat_trainer.contract import TrainConfig
from splat_trainer.distributed import scaling
from splat_trainer.distributed.exchange import Exchange
from splat_trainer.distributed.scaling import scaled_to, views_a_step
from splat_trainer.gaussians.gaussians import Gaussians
from splat_trainer.optimize.adam import GaussianOptimizer
from splat_trainer.optimize.gathered import Gathered
from splat_trainer.optimize.growth_plan import growth_plan
from splat_trainer.optimize.losses import image_loss_for, regularization
from splat_trainer.optimize.schedule import Schedule, schedule_for
from splat_trainer.optimize.strategies.strategy import make_strategy
from splat_trainer.rasterize.reference import ReferenceRasterizer
from splat_trainer.train.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from splat_trainer.train.training import Training
from splat_trainer.train.views import DeviceViews, ViewOrder
from tests.unit.distributed.in_threads import in_threads

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def as_in_a_long_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two replicas draw two views each before they exchange."""
    monkeypatch.setattr(scaling, "_STEPS", 5)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    folder = tmp_path_factory.mktemp("capture")
    make_synthetic_capture(folder, views=8, size=32)
    return load_scene(folder, TrainConfig())


def settings(**more: Any) -> TrainConfig:
    few: dict[str, Any] = {"iterations": 21, "densification_interval": 5, "max_gaussians": 2000}
    if more.get("strategy") == "budget":
        few["target_gaussians"] = few["max_gaussians"]
    return TrainConfig.model_validate({"device": "cpu", **few, **more})


def begun(
    scene: Scene,
    config: TrainConfig,
    exchange: Exchange,
    *,
    constants: dict[str, Any] | None = None,
    checkpoint: Checkpoint | None = None,
) -> Training:
    """A training before its first step, or where the checkpoint left it."""
    return Training(
        scene,
        config,
        replace(schedule_for(config), **(constants or {})),
        device=CPU,
        rasterizer=ReferenceRasterizer(),
        checkpoint=checkpoint,
        exchange=exchange,
    )


def trained(
    scene: Scene,
    config: TrainConfig,
    exchange: Exchange,
    *,
    constants: dict[str, Any] | None = None,
    until: int | None = None,
    checkpoint: Checkpoint | None = None,
) -> Training:
    """A training that is to the end, or one that could be saved after `until` steps."""
    training = begun(scene, config, exchange, constants=constants, checkpoint=checkpoint)
    while training.step < (until or config.iterations):
        training.advance()
    training.settle()
    return training


def twin(scene: Scene, config: TrainConfig, size: int) -> Gaussians:
    """What one process makes that draws all views of `size` replicas."""
    schedule: Schedule = scaled_to(schedule_for(config), views_a_step(size, config.iterations))
    first = Training(
        scene, config, schedule, device=CPU, rasterizer=ReferenceRasterizer()
    ).gaussians
    generator = torch.Generator().manual_seed(config.seed)
    optimizer = GaussianOptimizer(first, schedule, scene.scene_scale)
    strategy = make_strategy(
        config,
        schedule,
        first,
        scene.scene_scale,
        views=len(scene.train_views),
        max_gaussians=config.max_gaussians,
    )
    order = ViewOrder(len(scene.train_views), config.seed)
    on_device = DeviceViews(scene.train_views, CPU)
    draw, loss_of = ReferenceRasterizer(), image_loss_for(CPU)
    gathered: list[list[torch.Tensor]] = [[] for _ in range(size)]  # summed in the replicas' order
    last = 0
    while last < config.iterations:
        steps = range(last + 1, min(last + size, config.iterations) + 1)
        last = next((step for step in steps if strategy.changes(step)), steps[-1])
        steps = range(steps[0], last + 1)
        for gradients, step in zip(gathered, steps, strict=False):
            view = order.at(step)
            probe = strategy.probe(step)
            rendering = draw(
                optimizer.gaussians,
                on_device.camera(view),
                sh_degree=schedule.sh_degree(step, config.sh_degree),
                absgrad=strategy.absgrad,
                features=None if probe is None else probe.features,
            )
            image, target = rendering.colors[0], on_device.pixels(view)
            loss = loss_of(image, target, ssim_weight=schedule.ssim_weight)
            pull = regularization(optimizer.gaussians, schedule)
            loss = loss if pull is None else loss + pull
            if probe is not None:
                loss = loss + probe.term(rendering, image, target, None)
            loss.backward()  # type: ignore[no-untyped-call]
            for index, (_, leaf) in enumerate(optimizer.gaussians):
                assert leaf.grad is not None
                if index < len(gradients):
                    gradients[index] += leaf.grad
                else:
                    gradients.append(leaf.grad)
                leaf.grad = None
            if step < schedule.densify_until or probe is not None:
                strategy.observe(rendering)
        if strategy.changes(last) or any(schedule.moves(step) for step in steps):
            for index, (_, leaf) in enumerate(optimizer.gaussians):
                leaf.grad = torch.stack([one[index] for one in gathered if one]).sum(0)
            gathered = [[] for _ in range(size)]
            optimizer.set_rates(last)
            optimizer.step(None)
            strategy.update(last, optimizer, generator)
    return optimizer.gaussians.detach()


def assert_same(one: Gaussians, other: Gaussians, *, exactly: bool = True) -> None:
    for name, tensor in one:
        twin_ = getattr(other, name)
        if exactly:
            assert torch.equal(tensor, twin_), name
        else:
            assert torch.allclose(tensor, twin_, rtol=1e-3, atol=1e-4), name


@pytest.mark.parametrize("strategy", ["default", "absgrad", "mcmc", "budget"])
@pytest.mark.parametrize("size", [2, 3])
def test_replicas_stay_the_same_and_do_what_one_process_would(
    scene: Scene, strategy: str, size: int
) -> None:
    config = settings(strategy=strategy)
    replicas = in_threads(size, lambda exchange: trained(scene, config, exchange))
    assert [replica.step for replica in replicas] == [config.iterations] * size
    for other in replicas[1:]:
        assert_same(replicas[0].gaussians, other.gaussians)
    alone = twin(scene, config, size)
    assert len(alone) > len(scene.points)  # it has densified
    assert_same(replicas[0].gaussians, alone, exactly=False)


def test_what_rank_0_saves_is_what_all_have_counted(scene: Scene) -> None:
    config = settings(preset="reference", densification_interval=1000, densify_until_iteration=21)
    both = in_threads(2, lambda exchange: trained(scene, config, exchange, until=8))
    saved = both[0].checkpoint(0.0, ()).strategy
    seen = saved["times_seen"]
    # Of a Gaussian in the middle of everything, each of the 8 views was counted, and once.
    assert seen.max() == 8
    alone = in_threads(1, lambda exchange: trained(scene, config, exchange, until=8))
    assert alone[0].checkpoint(0.0, ()).strategy["times_seen"].max() == 8


@pytest.mark.parametrize(
    "constants",
    [
        {"visible_only": True},
        {"views_per_step": 4},
        {"views_per_step": 3, "visible_only": True},
        {"coarse_until": ((0.5, 2),)},
    ],
)
@pytest.mark.parametrize("narrow", [False, True])
def test_every_schedule_keeps_replicas_the_same(
    scene: Scene, constants: dict[str, Any], narrow: bool
) -> None:
    config = settings(strategy="budget")

    def train(exchange: Exchange) -> Training:
        return trained(scene, config, exchange, constants=constants)

    both = in_threads(2, train, narrow=narrow)
    assert_same(both[0].gaussians, both[1].gaussians)
    assert len(both[0].gaussians) > len(scene.points)


@pytest.mark.parametrize("narrow", [False, True])
@pytest.mark.parametrize(("before", "after"), [(2, 1), (1, 2), (2, 3)])
def test_a_run_goes_on_with_another_number_of_replicas(
    scene: Scene, tmp_path: Path, before: int, after: int, narrow: bool
) -> None:
    config = settings()

    def train(exchange: Exchange) -> Training:
        return trained(scene, config, exchange, until=6)

    first = in_threads(before, train, narrow=narrow and before > 1)[0].checkpoint(0.0, ())
    pending = first.adam.get("pending", {})
    assert bool(pending) == (before > 1)
    assert all(one.dtype == torch.float32 for one in pending.values())
    path = save_checkpoint(first, tmp_path)

    def go_on(exchange: Exchange) -> Training:
        return trained(scene, config, exchange, checkpoint=load_checkpoint(path))

    replicas = in_threads(after, go_on, narrow=narrow and after > 1)
    assert replicas[0].step == config.iterations
    for other in replicas[1:]:
        assert_same(replicas[0].gaussians, other.gaussians)


@pytest.mark.parametrize("size", [2, 3, 5])
def test_every_view_of_an_epoch_has_its_say_in_the_event_that_ends_it(
    scene: Scene, size: int
) -> None:
    """Replicas end a step there: 2, 3 and 5 of them do not divide epochs of 7 views."""
    config = settings(
        strategy="budget", iterations=28, densify_until_iteration=28, densification_interval=8
    )
    plan = growth_plan(schedule_for(config), 7)

    def looks(exchange: Exchange) -> list[int]:
        training = begun(scene, config, exchange)
        ends = []
        while training.step < config.iterations:
            training.advance()
            ends.append(training.step)
        return ends

    assert len(scene.train_views) == 7
    assert plan.whole_epochs
    assert plan.events
    for ends in in_threads(size, looks):
        assert set(plan.events) <= set(ends)


def test_a_run_that_goes_on_by_another_plan_takes_no_view_for_counted(
    scene: Scene, tmp_path: Path
) -> None:
    config = settings(strategy="budget")
    first = in_threads(1, lambda exchange: trained(scene, config, exchange, until=6))[0]
    saved = load_checkpoint(save_checkpoint(first.checkpoint(0.0, ()), tmp_path))

    def missed(other: TrainConfig) -> Tensor:
        def go_on(exchange: Exchange) -> Training:
            return trained(scene, other, exchange, until=6, checkpoint=saved)

        return in_threads(1, go_on)[0].checkpoint(0.0, ()).strategy["missed"]

    assert not missed(config).any()
    assert missed(config.model_copy(update={"iterations": 30})).all()


def test_a_run_that_goes_on_under_a_lower_cap_keeps_to_it(scene: Scene, tmp_path: Path) -> None:
    config = settings()
    first = in_threads(1, lambda exchange: trained(scene, config, exchange, until=12))[0]
    saved = load_checkpoint(save_checkpoint(first.checkpoint(0.0, ()), tmp_path))
    cap = len(saved.gaussians) - 50
    lower = config.model_copy(update={"max_gaussians": cap})

    def go_on(exchange: Exchange) -> Training:
        return trained(scene, lower, exchange, checkpoint=saved)

    resumed = in_threads(1, go_on)[0]
    assert len(resumed.gaussians) <= cap
    assert resumed.gaussians_trained >= len(saved.gaussians)


def test_replicas_exchange_as_often_as_adam_steps(scene: Scene) -> None:
    config = settings(iterations=22)

    def exchanges(exchange: Exchange) -> list[int]:
        told: list[int] = []
        training: Training
        sums_of_all = exchange.sums_of_all

        def counted(gathered: Gathered) -> Any:
            told.append(training.step)
            return sums_of_all(gathered)

        exchange.sums_of_all = counted  # type: ignore[method-assign]
        training = begun(scene, config, exchange)
        while training.step < config.iterations:
            training.advance()
        return told

    # Each four views; also where Gaussians come, after 5 and 10 steps and 15, where both end one
    # step earlier, as the second has none of its own; and at the end.
    assert in_threads(2, exchanges) == [[4, 5, 9, 10, 12, 15, 17, 21, 22]] * 2


@pytest.mark.parametrize("until", [8, 14])
def test_a_run_that_was_cut_ends_like_one_that_was_not(
    scene: Scene, tmp_path: Path, until: int
) -> None:
    """After 9 views no gradients wait; after 14 those of two views do, one of each rank."""
    config = settings()
    whole = in_threads(2, lambda exchange: trained(scene, config, exchange))[0]
    cut = in_threads(2, lambda exchange: trained(scene, config, exchange, until=until))[0]
    path = save_checkpoint(cut.checkpoint(0.0, ()), tmp_path)

    def go_on(exchange: Exchange) -> Training:
        return trained(scene, config, exchange, checkpoint=load_checkpoint(path))

    resumed = in_threads(2, go_on)
    assert_same(resumed[0].gaussians, resumed[1].gaussians)
    assert_same(resumed[0].gaussians, whole.gaussians, exactly=until == 8)
