"""The training loop: steps, and between them progress, measurements and checkpoints."""

import logging
import math
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from splat_trainer.capture.scene import Scene
from splat_trainer.contract import Stage, TrainConfig, TrainerError, layout
from splat_trainer.contract.result import Reason
from splat_trainer.distributed.crew import Begin, Crew
from splat_trainer.distributed.exchange import Alone, Exchange, PeerLost
from splat_trainer.optimize.schedule import Schedule, schedule_for
from splat_trainer.rasterize.choose import make_rasterizer
from splat_trainer.rasterize.interface import Rasterizer
from splat_trainer.train.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from splat_trainer.train.device import choose_device, gpu_name, use_cores_we_have
from splat_trainer.train.evaluation import evaluate
from splat_trainer.train.memory import out_of_memory_error
from splat_trainer.train.milestones import crosses, saves_after
from splat_trainer.train.observer import TrainObserver
from splat_trainer.train.outcome import Evaluation, RenderSink, Timings, TrainOutcome
from splat_trainer.train.own_kernels import check_own_kernels, told
from splat_trainer.train.progress import ProgressMeter
from splat_trainer.train.stopwatch import Stopwatch
from splat_trainer.train.training import Training

_log = logging.getLogger(__name__)

_MEASUREMENTS = 10
"""How often a run measures PSNR on held-out views, for its curve."""

_MEASURED_VIEWS = 16
"""How many of them each of these measurements looks at."""


def train(
    scene: Scene,
    config: TrainConfig,
    *,
    work_dir: Path,
    observer: TrainObserver,
    stop: Callable[[], bool] = lambda: False,
    resume: Path | None = None,
    checkpoints: Path | None = None,
    on_render: RenderSink | None = None,
    on_checkpoint: Callable[[Path], None] | None = None,
    schedule: Schedule | None = None,
    crew: Crew | None = None,
) -> TrainOutcome:
    """Train a splat of a scene, and measure it on the held-out views.

    Checkpoints go to the folder `checkpoints`, by default `work_dir`/checkpoints. Once `stop` says
    so, a checkpoint is written and the outcome is marked interrupted. `resume` is a checkpoint or
    a folder of them. `on_render` gets the held-out views with their final renders, `on_checkpoint`
    each checkpoint once it is written. `schedule` replaces the constants that belong to the
    configuration, for measurements of their effect. `crew` are the processes that train with this
    one, which leads them.
    """
    device = choose_device(config.device)
    use_cores_we_have(device)
    checkpoint = load_checkpoint(resume) if resume else None
    folder = checkpoints or work_dir / layout.CHECKPOINTS
    run = _Run(scene, config, device, folder, observer, on_checkpoint)
    try:
        run.prepare(checkpoint, schedule or schedule_for(config), resume, crew)
        run.train(stop)
        return run.finish(on_render)
    except PeerLost as lost:
        assert crew  # noqa: S101 - none is lost who was not there
        raise crew.why_lost(lost) from lost
    except torch.OutOfMemoryError as error:
        raise out_of_memory_error(device, run.gaussians_trained, config.target_gaussians) from error


class _Run:
    """One process's share of a training."""

    def __init__(
        self,
        scene: Scene,
        config: TrainConfig,
        device: torch.device,
        checkpoints: Path,
        observer: TrainObserver,
        on_checkpoint: Callable[[Path], None] | None,
    ) -> None:
        self._scene = scene
        self._config = config
        self._device = device
        self._folder = checkpoints
        self._observer = observer
        self._on_checkpoint = on_checkpoint
        self._watch = Stopwatch(device)
        self._saved: Path | None = None
        self._interrupted = False
        self._loss: Tensor | None = None
        self._training: Training | None = None
        self._exchange: Exchange = Alone(device)

    @property
    def gaussians_trained(self) -> int:
        """The largest count with which a whole step was done; 0 before the first."""
        return self._training.gaussians_trained if self._training else 0

    def prepare(
        self,
        checkpoint: Checkpoint | None,
        schedule: Schedule,
        resume: Path | None,
        crew: Crew | None,
    ) -> None:
        """Everything before the first step; `checkpoint` was read from `resume`."""
        if self._device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self._device)
        with self._watch.measure("prepare"):
            self._rasterizer: Rasterizer = make_rasterizer(self._device)
            # The others begin when there are kernels, so that not each compiles its own.
            if crew:
                begin = Begin(self._config, schedule, resume)
                self._exchange = crew.assemble(begin, self._device)
            if self._device.type == "cuda":
                own = check_own_kernels(
                    self._rasterizer, self._device, visible_only=schedule.visible_only
                )
                _log.info("kernels of our own: %s", told(own))
            self._observer.stage(Stage.TRAINING)
            self._training = Training(
                self._scene,
                self._config,
                schedule,
                device=self._device,
                rasterizer=self._rasterizer,
                checkpoint=checkpoint,
                exchange=self._exchange,
            )
        self._first_step = self._training.step
        self._seconds_before = checkpoint.seconds if checkpoint else 0.0
        self._meter = ProgressMeter(
            self._observer,
            self._config.iterations,
            self._device,
            step=self._training.step,
            curve=checkpoint.curve if checkpoint else (),
        )

    def train(self, stop: Callable[[], bool]) -> None:
        """All steps that are left, or as many as `stop` allows."""
        training = self._started()
        with self._watch.measure("train"):
            while training.step < self._config.iterations:
                if self._exchange.stops(training.step, wanted=stop()):
                    self._interrupted = True
                    break
                before = training.step
                self._loss = training.advance()
                if self._meter.due(training.step):
                    self._report()
                self._measure_or_save(before)
            if self._interrupted:
                self._save()

    def finish(self, on_render: RenderSink | None) -> TrainOutcome:
        """Measure the result, if the run came to its end, and put all together."""
        training = self._started()
        evaluation = None
        if self._scene.test_views and not self._interrupted:
            self._observer.stage(Stage.EVALUATING)
            evaluation = self._evaluate(len(self._scene.test_views), on_render)
            if self._loss is not None:
                self._meter.measured(evaluation.psnr)
                self._report()
        cuda = self._device.type == "cuda"
        seconds = self._watch.seconds
        return TrainOutcome(
            gaussians=training.gaussians,
            iterations=training.step,
            interrupted=self._interrupted,
            evaluation=evaluation,
            curve=tuple(self._meter.curve),
            timings=Timings(
                prepare=seconds("prepare"),
                train=seconds("train"),
                evaluate=seconds("evaluate"),
                checkpoint=seconds("checkpoint"),
            ),
            iterations_per_second=(training.step - self._first_step) / max(seconds("train"), 1e-9),
            checkpoint=self._saved,
            gpu=gpu_name(self._device),
            gpus=self._exchange.size,
            peak_gpu_memory_bytes=torch.cuda.max_memory_allocated(self._device) if cuda else None,
        )

    def _started(self) -> Training:
        if self._training is None:
            raise RuntimeError("prepare comes first")
        return self._training

    def _train_seconds(self) -> float:
        return self._seconds_before + self._watch.seconds("train")

    def _report(self) -> None:
        training = self._started()
        loss = float(self._loss) if self._loss is not None else math.nan
        if not math.isfinite(loss):
            raise TrainerError(
                Reason.INTERNAL_ERROR,
                f"the loss became {loss} at step {training.step}: please report it with the "
                "capture; another seed may pass",
            )
        count = len(training.gaussians)
        self._meter.report(training.step, loss, count, self._train_seconds())

    def _measure_or_save(self, before: int) -> None:
        """What is due every so many steps, but not after the last; `before` is the one before."""
        training, config = self._started(), self._config
        step = training.step
        if step == config.iterations:
            return
        every = max(1, config.iterations // _MEASUREMENTS)
        # One step before round numbers: after those, opacities may just have been reset.
        if crosses(step, training.next_steps[-1], every) and self._scene.test_views:
            psnr = self._evaluate(_MEASURED_VIEWS, None).psnr
            self._meter.measured(psnr)
            self._report()
        if saves_after(before, step, config):
            self._save()

    def _evaluate(self, most: int, on_render: RenderSink | None) -> Evaluation:
        """Over `most` held-out views at most, evenly chosen."""
        views = self._scene.test_views
        count = min(most, len(views))
        chosen = [views[i * len(views) // count] for i in range(count)]
        with self._watch.measure("evaluate"):
            evaluation = evaluate(
                self._started().gaussians,
                chosen,
                device=self._device,
                on_render=on_render,
                rasterizer=self._rasterizer,
            )
        self._meter.resume(self._started().step)
        return evaluation

    def _save(self) -> None:
        training = self._started()
        training.settle()
        seconds, curve = self._train_seconds(), tuple(self._meter.curve)
        with self._watch.measure("checkpoint"):
            self._saved = save_checkpoint(training.checkpoint(seconds, curve), self._folder)
        if self._on_checkpoint:
            self._on_checkpoint(self._saved)
        self._meter.resume(training.step)
