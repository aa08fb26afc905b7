"""One training from its capture to its outputs: the order of things, and what is kept of each."""

import logging
from pathlib import Path

from splat_trainer.capture.scene import Scene
from splat_trainer.cli.capture_reader import CaptureReader
from splat_trainer.cli.checkpoint_mirror import CheckpointMirror
from splat_trainer.cli.checkpoints import Checkpoints
from splat_trainer.cli.finished_run import metrics_of, report_of, summary_of
from splat_trainer.cli.getting_ready import GettingReady
from splat_trainer.cli.invocation import Invocation
from splat_trainer.cli.outputs import Outputs
from splat_trainer.cli.progress.reporter import Reporters
from splat_trainer.cli.stopwatch import Stopwatch
from splat_trainer.cli.workspace import Workspace
from splat_trainer.contract import (
    CheckpointRef,
    Reason,
    ResultDocument,
    Stage,
    TrainConfig,
    TrainerError,
    environment,
    layout,
)
from splat_trainer.distributed.crew import Leader
from splat_trainer.kernels.ensure import kernels_used
from splat_trainer.report.metrics import Metrics
from splat_trainer.report.previews import PreviewWriter
from splat_trainer.storage import Output, fetch_capture
from splat_trainer.train.checkpoint_files import newest_checkpoint, step_of
from splat_trainer.train.outcome import ExportSummary, TrainOutcome

logger = logging.getLogger(__name__)


class TrainingRun:
    """Fetches, loads, trains, writes; each failure on the way is a TrainerError."""

    def __init__(
        self,
        invocation: Invocation,
        config: TrainConfig,
        *,
        getting_ready: GettingReady,
        reader: CaptureReader,
        output: Output,
        checkpoints: Checkpoints,
        workspace: Workspace,
        reporters: Reporters,
    ) -> None:
        self._data: str = invocation.arguments.data
        self._endpoint: str | None = invocation.arguments.endpoint_url
        self._resume: bool = invocation.arguments.resume
        self._run = invocation.environ.get(environment.RUN_ID, "").strip()
        self._formats = invocation.formats()
        self._interruption = invocation.interruption
        self._record = invocation.record
        self._config = config
        self._getting_ready = getting_ready
        self._reader = reader
        self._output = output
        self._checkpoints = checkpoints
        self._workspace = workspace
        self._reporters = reporters
        self._watch = Stopwatch()
        rank = invocation.arguments.rank
        self._crew = Leader(rank) if rank else None

    def result(self) -> ResultDocument:
        """Do it all; raises TrainerError (Interrupted) where a checkpoint is all that is left."""
        self._start_seconds = self._record.seconds()
        with self._getting_ready.beside():
            scene = self._load()
        self._get_ready()
        previews = PreviewWriter(
            self._workspace.work / layout.PREVIEWS, [view.name for view in scene.test_views]
        )
        outcome = self._train(scene, previews)
        self._note(outcome)
        if outcome.interrupted:
            raise self._interrupted(outcome)
        self._reporters.stage(Stage.EXPORTING)
        exported = self._export(outcome, scene)
        metrics = self._metrics(outcome, exported, scene)
        from splat_trainer.report.page import render_page  # noqa: PLC0415 - not before the steps

        page = render_page(report_of(metrics, self._config, outcome, previews.previews()))
        if not self._workspace.local:
            self._reporters.stage(Stage.UPLOADING)
        outputs = Outputs(self._output, self._workspace)
        for format in self._formats:
            outputs.put(format.file_name, format.value)
        outputs.put_text(layout.METRICS, metrics.model_dump_json(indent=2) + "\n", "metrics")
        outputs.put_text(layout.REPORT, page, "report")
        outputs.put_previews(previews.files())
        if not self._config.checkpoint_interval:
            self._checkpoints.remove()  # one that an interruption left is of no more use
        self._record.note(gaussians=exported.gaussians, outputs=outputs.files())
        return self._record.succeeded(summary_of(metrics))

    def _load(self) -> Scene:
        self._reporters.stage(Stage.FETCHING)
        with self._watch("fetch"):
            folder = fetch_capture(
                self._data,
                self._workspace.scratch,
                endpoint=self._endpoint,
                on_bytes=self._fetched,
            )
        self._getting_ready.check_device()
        self._reporters.stage(Stage.LOADING)
        with self._watch("load"):
            scene = self._reader.read(folder, self._config)
        logger.info(
            "%s: %d views to train on, %d held out, %s points",
            self._data,
            len(scene.train_views),
            len(scene.test_views),
            f"{len(scene.points):,}",
        )
        return scene

    def _fetched(self, done: int, total: int) -> None:
        self._getting_ready.check_device()  # without one, no more has to be fetched
        self._reporters.fetched(done, total)

    def _get_ready(self) -> None:
        """Wait for what is made ready beside loading, if it takes longer."""
        with self._watch("get ready"):
            self._getting_ready.wait(lambda: self._reporters.stage(Stage.COMPILING))

    def _train(self, scene: Scene, previews: PreviewWriter) -> TrainOutcome:
        from splat_trainer.train.loop import train  # noqa: PLC0415 - imports torch

        checkpoint = self._checkpoint()
        mirror = CheckpointMirror(self._checkpoints, self._reporters.checkpoint)
        if self._config.checkpoint_interval and not self._checkpoints.local:
            mirror.start()
        try:
            return train(
                scene,
                self._config,
                work_dir=self._workspace.work,
                observer=self._reporters,
                stop=self._interruption.requested,
                resume=checkpoint,
                checkpoints=self._checkpoints.folder,
                on_checkpoint=self._saved if self._checkpoints.local else None,
                on_render=lambda view, render: previews.add(view.name, view.image, render),
                crew=self._crew,
            )
        except Exception:
            mirror.close()
            self._note_checkpoint()
            raise
        finally:
            mirror.close()
            self._record.note(kernels=kernels_used())

    def _saved(self, path: Path) -> None:
        """Tell of a checkpoint that is kept under its name: one saved there, or gone on from."""
        uri = self._checkpoints.uri(path.name)
        self._reporters.checkpoint(CheckpointRef(iteration=step_of(path), uri=uri))

    def _note_checkpoint(self) -> None:
        """Say in the result of a run that failed where its last checkpoint is."""
        newest = newest_checkpoint(self._checkpoints.folder)
        if newest is None:
            return
        try:
            uri = self._checkpoints.put(newest)
        except (TrainerError, OSError) as error:
            logger.warning("checkpoint %s is lost: %s", newest.name, error)
            return
        self._record.note(checkpoint=CheckpointRef(iteration=step_of(newest), uri=uri))

    def _checkpoint(self) -> Path | None:
        """The checkpoint to go on from; without --resume, or of another run, they must go."""
        mine = not self._run or self._checkpoints.are_of(self._run)
        if not self._resume or not mine:
            self._checkpoints.remove()
            if self._run:
                self._checkpoints.take_over(self._run)
            logger.info("starting anew in %s", self._output.uri(""))
            return None
        checkpoint = self._checkpoints.newest()
        if checkpoint:
            logger.info("going on from %s", checkpoint.name)
            self._saved(checkpoint)
        else:
            logger.info("no checkpoint in %s: starting anew", self._checkpoints.uri())
        return checkpoint

    def _note(self, outcome: TrainOutcome) -> None:
        evaluation = outcome.evaluation
        self._record.note(
            iterations=outcome.iterations,
            gaussians=len(outcome.gaussians),
            psnr=round(evaluation.psnr, 4) if evaluation else None,
            ssim=round(evaluation.ssim, 5) if evaluation else None,
            train_seconds=round(outcome.timings.train, 3),
            peak_gpu_memory_bytes=outcome.peak_gpu_memory_bytes,
            gpu=outcome.gpu,
        )

    def _interrupted(self, outcome: TrainOutcome) -> TrainerError:
        where = f"stopped by {self._interruption.signal_name} at step {outcome.iterations:,}"
        if outcome.checkpoint is None:
            return TrainerError(Reason.INTERRUPTED, f"{where}, without a checkpoint: run it again")
        if not self._checkpoints.local:
            self._reporters.stage(Stage.UPLOADING)
        uri = self._checkpoints.put(outcome.checkpoint)
        self._record.note(checkpoint=CheckpointRef(iteration=outcome.iterations, uri=uri))
        return TrainerError(
            Reason.INTERRUPTED,
            f"{where} of {self._config.iterations:,}, checkpoint saved: "
            "run it again with --resume to go on",
        )

    def _export(self, outcome: TrainOutcome, scene: Scene) -> ExportSummary:
        from splat_trainer.train.export import export  # noqa: PLC0415 - imports torch

        with self._watch("export"):
            exported = export(
                outcome.gaussians,
                scene,
                self._workspace.work / layout.POINT_CLOUD,
                frame=self._config.frame,
                formats=self._formats,
            )
        if exported.dropped:
            logger.warning("%d Gaussians held NaN or infinity: not exported", exported.dropped)
        return exported

    def _metrics(self, outcome: TrainOutcome, exported: ExportSummary, scene: Scene) -> Metrics:
        return metrics_of(
            outcome,
            exported,
            scene,
            self._data,
            start_seconds=self._start_seconds,
            fetch_seconds=self._watch.seconds("fetch"),
            load_seconds=self._watch.seconds("load"),
            get_ready_seconds=self._watch.seconds("get ready"),
            export_seconds=self._watch.seconds("export"),
        )
