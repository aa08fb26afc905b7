"""From a finished training to what is told of it: pure, but for reading the machine."""

from datetime import UTC, datetime

from splat_trainer.capture.scene import Scene
from splat_trainer.contract import TrainConfig
from splat_trainer.report.machine import peak_host_memory_bytes, these_versions, this_machine
from splat_trainer.report.metrics import CaptureFacts, Metrics, Seconds, ViewScore
from splat_trainer.report.previews import Preview
from splat_trainer.report.run import RunReport, Setting
from splat_trainer.train.outcome import ExportSummary, TrainOutcome


def metrics_of(
    outcome: TrainOutcome,
    exported: ExportSummary,
    scene: Scene,
    source: str,
    *,
    start_seconds: float,
    fetch_seconds: float,
    load_seconds: float,
    get_ready_seconds: float,
    export_seconds: float,
) -> Metrics:
    """Gather what a training measured; `source` is the capture as it was named."""
    evaluation, timings = outcome.evaluation, outcome.timings
    views = evaluation.views if evaluation else ()
    first = scene.train_views[0]
    return Metrics(
        psnr=evaluation.psnr if evaluation else None,
        ssim=evaluation.ssim if evaluation else None,
        gaussians=exported.gaussians,
        dropped_gaussians=exported.dropped,
        iterations=outcome.iterations,
        iterations_per_second=outcome.iterations_per_second,
        seconds=Seconds(
            start=start_seconds,
            fetch=fetch_seconds,
            load=load_seconds,
            prepare=get_ready_seconds + timings.prepare,
            train=timings.train,
            evaluate=timings.evaluate,
            checkpoint=timings.checkpoint,
            export=export_seconds,
        ),
        peak_gpu_memory_bytes=outcome.peak_gpu_memory_bytes,
        gpus=outcome.gpus,
        peak_host_memory_bytes=peak_host_memory_bytes(),
        capture=CaptureFacts(
            source=source,
            train_views=len(scene.train_views),
            test_views=len(scene.test_views),
            points=len(scene.points),
            width=first.width,
            height=first.height,
            lens=scene.lens,
            missing_images=scene.missing_images,
            normalized_from_capture=tuple(map(tuple, scene.normalized_from_capture.tolist())),
        ),
        machine=this_machine(outcome.gpu),
        versions=these_versions(),
        views=tuple(ViewScore(name=v.name, psnr=v.psnr, ssim=v.ssim) for v in views),
    )


def report_of(
    metrics: Metrics,
    config: TrainConfig,
    outcome: TrainOutcome,
    previews: tuple[Preview, ...],
) -> RunReport:
    """Gather what the report page shows."""
    return RunReport(
        title=title_of(metrics.capture.source),
        finished_at=datetime.now(UTC),
        metrics=metrics,
        settings=settings_of(config),
        curve=outcome.curve,
        previews=previews,
    )


def settings_of(config: TrainConfig) -> list[Setting]:
    """Every setting by its name outside, and whether it is what nobody asked to change."""
    values = config.model_dump(mode="json")
    return [
        Setting(
            name=field.alias or name,
            value=_shown(values[field.alias or name]),
            is_default=getattr(config, name) == field.default,
            description=field.description or "",
        )
        for name, field in TrainConfig.model_fields.items()
    ]


def title_of(source: str) -> str:
    """The last part of a place, without an archive's ending: what people call the capture."""
    last = source.rstrip("/").rpartition("/")[2]
    for ending in (".zip", ".tar.gz", ".tgz", ".tar"):
        last = last.removesuffix(ending)
    return last or "capture"


def summary_of(metrics: Metrics) -> str:
    """The run in a line."""
    quality = "no view was held out"
    if metrics.psnr is not None and metrics.ssim is not None:
        quality = (
            f"{metrics.psnr:.2f} dB PSNR and {metrics.ssim:.3f} SSIM on "
            f"{len(metrics.views)} held-out views"
        )
    return f"{metrics.iterations:,} steps, {metrics.gaussians:,} Gaussians, {quality}"


def _shown(value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)
