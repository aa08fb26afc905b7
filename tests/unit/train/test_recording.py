"""A look that was recorded and replayed is the look, and a run of them the run."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from splat_trainer.capture.load import load_scene
from splat_trainer.capture.scene import Scene
from splat_trainer.capture.synthetic import make_synthetic_capture
from splat_trainer.contract import TrainConfig
from splat_trainer.gaussians.gaussians import Gaussians
from splat_trainer.kernels.self_check import DisagreementError
from splat_trainer.optimize.losses import image_loss
from splat_trainer.optimize.schedule import schedule_for
from splat_trainer.rasterize.check_scene import leaves as leaves_of
from splat_trainer.rasterize.tile_room import TileRoom, room_for
from splat_trainer.train import recording_check
from splat_trainer.train.look import Looked
from splat_trainer.train.looking import evenly, make_more
from splat_trainer.train.recording import MakeTape, Tape
from splat_trainer.train.recording_check import check_tapes
from splat_trainer.train.training import Training
from tests.unit.train.taping import AgainTape, RoomyRasterizer

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    folder = tmp_path_factory.mktemp("capture")
    make_synthetic_capture(folder, views=10, size=48)
    return load_scene(folder, TrainConfig())


def training_of(
    scene: Scene, constants: Mapping[str, Any] | None = None, **settings: object
) -> Training:
    few: dict[str, Any] = {"iterations": 40, "densification_interval": 12, "max_gaussians": 2500}
    if settings.get("strategy") == "budget":
        few["target_gaussians"] = few["max_gaussians"]
    config = TrainConfig.model_validate({**few, **settings})
    schedule = replace(schedule_for(config), **(constants or {}))
    return Training(scene, config, schedule, device=CPU, rasterizer=RoomyRasterizer())


def tape_for(training: Training) -> MakeTape:
    def make(before: Tape | None) -> Tape:
        def added_to() -> Sequence[Tensor]:
            return list(training._strategy.state().values())

        return AgainTape(lambda: training._optimizer.gaussians, added_to)

    return make


@pytest.mark.parametrize("strategy", ["default", "mcmc", "budget"])
def test_a_run_of_replays_ends_as_the_run_does(scene: Scene, strategy: str) -> None:
    plain, recorded = (training_of(scene, strategy=strategy) for _ in range(2))
    recorded._looking.record_on(
        tape_for(recorded), lambda: list(recorded._strategy.state().values())
    )
    for _ in range(40):
        assert torch.equal(plain.advance(), recorded.advance())
    assert len(plain.gaussians) > len(scene.points)
    assert recorded._looking.replays > 10
    for (name, one), (_, other) in zip(plain.gaussians, recorded.gaussians, strict=True):
        assert torch.equal(one, other), name
    states = zip(plain._strategy.state().values(), recorded._strategy.state().values(), strict=True)
    assert all(torch.equal(one, other) for one, other in states)


def test_views_that_differ_by_a_few_pixels_are_looked_at_by_one_recording(scene: Scene) -> None:
    cut = tuple(
        replace(view, image=view.image[: 48 - index % 4, : 48 - index % 3])
        for index, view in enumerate(scene.train_views)
    )
    recorded = training_of(replace(scene, train_views=cut), preset="reference")
    recorded._looking.record_on(
        tape_for(recorded), lambda: list(recorded._strategy.state().values())
    )
    losses = [recorded.advance() for _ in range(40)]
    assert torch.stack(losses).isfinite().all()
    assert recorded._looking.replays >= 30


def test_gradients_of_several_views_add_up_over_replays(scene: Scene) -> None:
    constants = {"views_per_step": 3, "visible_only": True, "coarse_until": ((0.5, 2),)}
    plain, recorded = (training_of(scene, constants, strategy="budget") for _ in range(2))
    recorded._looking.record_on(
        tape_for(recorded), lambda: list(recorded._strategy.state().values())
    )
    for _ in range(40):
        assert torch.equal(plain.advance(), recorded.advance())
    assert recorded._looking.replays > 10
    for (name, one), (_, other) in zip(plain.gaussians, recorded.gaussians, strict=True):
        assert torch.equal(one, other), name


def check_leaves(monkeypatch: pytest.MonkeyPatch) -> tuple[Callable[[], Gaussians], list[Tensor]]:
    """What the check of tapes differentiates by, and what it adds to."""
    made: list[Gaussians] = []
    sums: list[Tensor] = []
    counts = recording_check._Count

    def kept(gaussians: Gaussians) -> Gaussians:
        made.append(leaves_of(gaussians))
        return made[-1]

    class Kept(counts):  # type: ignore[misc, valid-type]
        def __init__(self, count: int, device: torch.device) -> None:
            super().__init__(count, device)
            sums.append(self.seen)

    monkeypatch.setattr(recording_check, "leaves", kept)
    monkeypatch.setattr(recording_check, "_Count", Kept)
    return lambda: made[-1], sums


def test_tapes_that_play_what_was_recorded_pass_their_check(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    leaves, sums = check_leaves(monkeypatch)
    check_tapes(lambda _: AgainTape(leaves, lambda: sums), RoomyRasterizer(), image_loss, CPU)


def test_tapes_that_forget_to_play_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    class Once(AgainTape):
        played = 0

        def play(self) -> None:
            self.played += 1
            if self.played < 3:
                super().play()

    leaves, sums = check_leaves(monkeypatch)
    with pytest.raises(DisagreementError):
        check_tapes(lambda _: Once(leaves, lambda: sums), RoomyRasterizer(), image_loss, CPU)


def test_what_cannot_be_recorded_is_told_once_and_trained_all_the_same(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    class Refusing:
        def record(self, work: Callable[[], Looked]) -> Looked:
            work()
            raise RuntimeError("operation not permitted when stream is capturing\nmore")

        def play(self) -> None:
            raise AssertionError

    plain, recorded = (training_of(scene, strategy="mcmc") for _ in range(2))
    recorded._looking.record_on(lambda _: Refusing(), lambda: [])
    with caplog.at_level(logging.WARNING):
        for _ in range(8):
            assert torch.equal(plain.advance(), recorded.advance())
    (line,) = caplog.messages
    assert "operation not permitted" in line
    assert "more" not in line
    assert torch.equal(plain.gaussians.means, recorded.gaussians.means)


def test_a_step_before_a_change_is_not_recorded(scene: Scene) -> None:
    training = training_of(scene, densification_interval=5, preset="reference")
    training._looking.record_on(tape_for(training), lambda: [])
    for _ in range(14):
        training.advance()
    assert training._looking.replays == 0


def test_room_that_is_short_or_nearly_so_is_made(caplog: pytest.LogCaptureFixture) -> None:
    room = TileRoom(room_for(50_000), CPU)
    before = room.capacity
    with caplog.at_level(logging.INFO):
        for pairs, more in ((50_000, False), (62_000, True)):
            room.note(torch.tensor([pairs]))
            room.fetch()
            make_more(room)
            assert (room.capacity > before) == more
        assert not caplog.messages
        room.note(torch.tensor([300_000]))
        room.fetch()
        make_more(room)
    assert room.capacity >= 300_000
    assert "a view had 300,000 pairs" in caplog.messages[0]


def test_views_are_chosen_evenly() -> None:
    assert evenly(range(10), 5) == [0, 2, 4, 6, 8]  # type: ignore[arg-type, comparison-overlap]
    assert evenly(range(3), 5) == [0, 1, 2]  # type: ignore[arg-type, comparison-overlap]
