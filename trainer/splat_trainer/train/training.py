"""A training in progress: what one step changes, and what a checkpoint holds."""

import logging

import torch
from torch import Tensor

from splat_trainer.capture.scene import Scene
from splat_trainer.contract import TrainConfig, TrainerError
from splat_trainer.contract.result import Reason
from splat_trainer.distributed.exchange import Alone, Exchange
from splat_trainer.distributed.scaling import (
    as_counted_by,
    scaled_by,
    scaled_to,
    views_a_step,
)
from splat_trainer.gaussians.gaussians import Gaussians
from splat_trainer.gaussians.initialize import gaussians_from_points
from splat_trainer.gaussians.morton import morton_order
from splat_trainer.optimize.adam import GaussianOptimizer
from splat_trainer.optimize.growth_plan import CaptureSize, count_cap
from splat_trainer.optimize.schedule import Schedule
from splat_trainer.optimize.strategies.strategy import make_strategy
from splat_trainer.rasterize.interface import Cameras, Rasterizer
from splat_trainer.train.checkpoint import Checkpoint, check_resumable, within
from splat_trainer.train.gathering import Gathering
from splat_trainer.train.look import Manner, Sight
from splat_trainer.train.looking import Looking
from splat_trainer.train.observer import CurvePoint
from splat_trainer.train.recording import WORTH
from splat_trainer.train.views import DeviceViews, ViewOrder

_log = logging.getLogger(__name__)

_COMPARED_EVERY = 1000
"""Views between two proofs that replicas are the same; each makes the host wait."""


def capture_size(scene: Scene) -> CaptureSize:
    """What a plan of growth follows."""
    pixels = sum(view.width * view.height for view in scene.train_views)
    return CaptureSize(len(scene.train_views), pixels, len(scene.points))


class Training:
    """The state of a run after `step` finished steps; `advance` does the next.

    A step is of one view. Where several replicas train through an `exchange`, each advances by a
    view of its own, and all by as many steps as there are replicas. They tell each other what
    they gathered when Adam steps, which is after `views_a_step`; before that, `settle` makes them.

    `gaussians_trained` is the largest count with which a whole step was done.
    """

    def __init__(
        self,
        scene: Scene,
        config: TrainConfig,
        schedule: Schedule,
        *,
        device: torch.device,
        rasterizer: Rasterizer,
        checkpoint: Checkpoint | None = None,
        exchange: Exchange | None = None,
    ) -> None:
        self._exchange = exchange or Alone(device)
        self._views_a_step = views_a_step(self._exchange.size, config.iterations)
        schedule = scaled_to(schedule, self._views_a_step)
        self._config = config
        self._scene = scene
        self._device = device
        self._schedule = schedule
        self._generator = torch.Generator(device).manual_seed(config.seed)
        self._divisor = 1
        self._views = self._full_views = DeviceViews(scene.train_views, device)
        self._order = ViewOrder(len(scene.train_views), config.seed)
        self._cap = count_cap(config, schedule, capture_size(scene))
        if self._cap is not None:
            _log.info("at most %s Gaussians", f"{self._cap:,}")
        self.step = 0
        self.gaussians_trained = 0
        if checkpoint is None:
            gaussians = self._first_gaussians()
            self._exchange.take_from_first([tensor for _, tensor in gaussians])
        else:
            check_resumable(checkpoint, scene, config)
            self.gaussians_trained = len(checkpoint.gaussians)
            checkpoint = within(checkpoint, self._cap)
            gaussians = checkpoint.gaussians.to(device)
        self._optimizer = GaussianOptimizer(gaussians, self._schedule, scene.scene_scale)
        self._strategy = make_strategy(
            config,
            self._schedule,
            gaussians,
            scene.scene_scale,
            views=len(scene.train_views),
            max_gaussians=self._cap,
        )
        self._gathering = Gathering(
            self._optimizer,
            self._strategy,
            schedule,
            self._exchange,
            grows_to=self._cap if config.strategy in ("budget", "mcmc") else None,
        )
        if checkpoint is not None:
            self._resume(checkpoint)
        self._looking = Looking(
            rasterizer, schedule, self._strategy, self.gaussians, self._cameras()
        )

    @property
    def gaussians(self) -> Gaussians:
        """The Gaussians as they are now, cut from the graph."""
        return self._optimizer.gaussians.detach()

    @property
    def next_steps(self) -> range:
        """The steps that `advance` does next, one of each replica.

        They end where the Gaussians change, so that no view is counted for the change before it.
        """
        most = min(self.step + self._exchange.size, self._config.iterations)
        steps = range(self.step + 1, most + 1)
        last = next((step for step in steps if self._strategy.changes(step)), most)
        return range(self.step + 1, last + 1)

    def advance(self) -> Tensor:
        """Train one step, and give its loss as a tensor that nobody waited for."""
        exchange, schedule = self._exchange, self._schedule
        steps = self.next_steps
        own, last = self.step + 1 + exchange.rank, steps[-1]
        count = len(self._optimizer.gaussians)
        changes = self._strategy.changes(last)
        # Gradients of several views add up until then; they do not outlive their Gaussians.
        moves = changes or any(schedule.moves(step) for step in steps)
        self._gathering.begin()
        # There may be fewer steps than replicas.
        loss = torch.zeros((), device=self._device)
        if own in steps:
            loss = self._look(own, steps_next=moves)
        self.step = last
        if moves:
            self._gathering.step(last)
            if changes:
                self._gathering.tell_counts()
            self._strategy.update(last, self._optimizer, self._generator)
        self.gaussians_trained = max(self.gaussians_trained, count)
        if exchange.size > 1 and (changes or last % _COMPARED_EVERY < exchange.size):
            exchange.compare(self._optimizer.gaussians, last)
        return loss

    def settle(self) -> None:
        """Have rank 0 hold what all replicas have gathered; a checkpoint of it is then whole.

        All take part, after the same step.
        """
        self._gathering.settle()

    def _look(self, step: int, *, steps_next: bool) -> Tensor:
        """Draw the view of a step and give its loss; its gradients are gathered."""
        schedule = self._schedule
        view = self._order.at(step)
        self._take_size(schedule.divisor_at(step))
        gaussians = self._optimizer.gaussians
        probe = self._strategy.probe(step)
        sight = Sight(self._views.camera(view), self._views.pixels(view), self._views.mask(view))
        manner = Manner(
            sh_degree=schedule.sh_degree(step, self._config.sh_degree),
            observes=step < schedule.densify_until or probe is not None,
            probe=probe,
        )
        looked = self._looking(gaussians, sight, manner, lasts=lambda: self._lasts_after(step))
        self._gathering.add(looked.visible, steps_next=steps_next)
        return looked.loss

    def _lasts_after(self, step: int) -> bool:
        """Whether the Gaussians are the same for as long as a recording must hold."""
        ahead = range(step, min(step + WORTH * self._exchange.size, self._config.iterations + 1))
        return len(ahead) >= WORTH and not any(self._strategy.changes(one) for one in ahead)

    def _take_size(self, divisor: int) -> None:
        """Have the images at hand in the size that a step wants."""
        if divisor == self._divisor:
            return
        full, larger = self._full_views, divisor < self._divisor
        self._views = full if divisor == 1 else full.shrunk(divisor)
        self._divisor = divisor
        if larger:
            self._looking.expect(self.gaussians, self._cameras())

    def _cameras(self) -> list[Cameras]:
        return [self._views.camera(index) for index in range(len(self._views))]

    def checkpoint(self, seconds: float, curve: tuple[CurvePoint, ...]) -> Checkpoint:
        """All that a later process needs to go on; of several replicas, once they are settled."""
        return Checkpoint(
            step=self.step,
            gaussians=self.gaussians,
            adam={
                **self._optimizer.state(),
                **self._gathering.state(),
                **scaled_by(self._views_a_step),
            },
            strategy=self._strategy.state(),
            rng=self._generator.get_state(),
            device=self._device.type,
            seconds=seconds,
            curve=curve,
            config=self._config,
            views=tuple(view.name for view in self._scene.train_views),
        )

    def _first_gaussians(self) -> Gaussians:
        scene, schedule = self._scene, self._schedule
        points = torch.from_numpy(scene.points).float().to(self._device)
        rgb = torch.from_numpy(scene.points_rgb).float().to(self._device) / 255
        if len(points) == 0:
            raise TrainerError(
                Reason.INVALID_CAPTURE,
                "the capture's model has no 3D points to start from: reconstruct it again",
            )
        most = self._cap
        if most is not None and len(points) > most:
            drawn = torch.randperm(len(points), generator=self._generator, device=self._device)
            points, rgb = points[drawn[:most]], rgb[drawn[:most]]
        order = morton_order(points)
        return gaussians_from_points(
            points[order],
            rgb[order],
            sh_degree=self._config.sh_degree,
            opacity=schedule.initial_opacity,
            scale_factor=schedule.initial_scale,
            largest_scale=schedule.largest_initial_scale * scene.scene_scale,
        )

    def _resume(self, checkpoint: Checkpoint) -> None:
        self.step = checkpoint.step
        try:
            self._optimizer.load_state(as_counted_by(self._views_a_step, checkpoint.adam))
            self._gathering.load_state(checkpoint.adam)
            self._strategy.load_state(_counted(checkpoint, self._config))
            if checkpoint.device == self._device.type:
                self._generator.set_state(checkpoint.rng)
            else:  # the two kinds of generator cannot read each other's state
                self._generator.manual_seed(self._config.seed + checkpoint.step)
        except (KeyError, ValueError, RuntimeError, TypeError) as error:
            raise TrainerError(
                Reason.INVALID_CONFIGURATION,
                f"the checkpoint's optimizer does not fit its Gaussians ({error}): "
                "resume from another, or start anew",
            ) from error


def _counted(checkpoint: Checkpoint, config: TrainConfig) -> dict[str, Tensor]:
    """What a checkpoint's strategy has counted; of another plan's views some may be missing."""
    plan = ("iterations", "densify_until_iteration", "densification_interval", "preset")
    same = all(getattr(checkpoint.config, field) == getattr(config, field) for field in plan)
    counted = dict(checkpoint.strategy)
    if "missed" in counted and not same:
        counted["missed"] = torch.ones_like(counted["missed"])
    return counted
