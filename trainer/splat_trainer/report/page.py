"""The report page: one self-contained HTML file, a pure function of the run."""

import base64
import hashlib
from importlib import resources
from typing import Any

import jinja2

from splat_trainer.report.curves import Curve, draw
from splat_trainer.report.metrics import Metrics, Seconds
from splat_trainer.report.previews import Preview
from splat_trainer.report.run import RunReport


def render_page(run: RunReport) -> str:
    """Render the page; it loads nothing, runs only its own script, and escapes every value."""
    template = _environment().from_string(_text("page.html.jinja"))
    script = _text("page.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return template.render(
        run=run,
        metrics=run.metrics,
        trained_on=_gpus(run.metrics) or run.metrics.machine.cpu,
        tiles=_tiles(run),
        charts=[(curve, svg) for curve in _curves(run) if (svg := draw(curve))],
        previews=[_preview(run, preview) for preview in run.previews],
        shares=_shares(run.metrics.seconds),
        facts=_facts(run),
        style=_text("page.css"),
        script=script,
        script_digest=digest,
    )


def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )


def _text(name: str) -> str:
    return resources.files("splat_trainer.report").joinpath(name).read_text(encoding="utf-8")


def _tiles(run: RunReport) -> list[tuple[str, str, str]]:
    """The figures on top: label, value, unit."""
    metrics = run.metrics
    memory = metrics.peak_gpu_memory_bytes
    tiles = [
        ("PSNR, held out", _number(metrics.psnr, 2), "dB"),
        ("SSIM, held out", _number(metrics.ssim, 3), ""),
        ("Gaussians", f"{metrics.gaussians:,}", ""),
        ("Steps", f"{metrics.iterations:,}", ""),
        ("Speed", f"{metrics.iterations_per_second:,.1f}", "steps/s"),
        ("Training loop", *_duration(metrics.seconds.train)),
    ]
    if memory is not None:
        tiles.append(("Peak GPU memory", f"{memory / 2**30:.2f}", "GiB"))
    return tiles


def _curves(run: RunReport) -> list[Curve]:
    samples = run.curve
    return [
        Curve(
            "Loss",
            "",
            [(s.iteration, s.loss) for s in samples],
            lambda value: f"{value:.3g}",
            logarithmic=True,
        ),
        Curve(
            "PSNR",
            "dB",
            [(s.iteration, s.psnr) for s in samples if s.psnr is not None],
            lambda value: f"{value:.4g}",
        ),
        Curve("Gaussians", "", [(s.iteration, float(s.gaussians)) for s in samples], _count),
    ]


def _preview(run: RunReport, preview: Preview) -> dict[str, Any]:
    score = next((view for view in run.metrics.views if view.name == preview.name), None)
    return {
        "name": preview.name,
        "width": preview.width,
        "height": preview.height,
        "photo": _data_uri(preview.photo),
        "render": _data_uri(preview.render),
        "score": score,
    }


def _data_uri(jpeg: bytes) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode()


def _shares(seconds: Seconds) -> list[tuple[str, float, float]]:
    """What the time was spent on: name, seconds, share in percent."""
    spent = {name: float(value) for name, value in seconds.model_dump(by_alias=False).items()}
    total = sum(spent.values()) or 1.0
    return [(name, value, 100 * value / total) for name, value in spent.items()]


def _gpus(metrics: Metrics) -> str | None:
    """The GPUs that trained together, which are all of one kind; None on the CPU."""
    name = metrics.machine.gpu
    return f"{metrics.gpus} × {name}" if name and metrics.gpus > 1 else name


def _facts(run: RunReport) -> list[tuple[str, str]]:
    metrics = run.metrics
    capture, machine, versions = metrics.capture, metrics.machine, metrics.versions
    facts = [
        ("Capture", capture.source),
        ("Views", f"{capture.train_views} trained on, {capture.test_views} held out"),
        ("Image size", f"{capture.width} × {capture.height}"),
        ("Sparse points", f"{capture.points:,}"),
        ("GPU", _gpus(metrics) or "none, trained on the CPU"),
        ("CPU", f"{machine.cpu}, {machine.cpus} usable"),
        ("Memory", f"{machine.memory_bytes / 2**30:.1f} GiB"),
        ("Peak host memory", f"{metrics.peak_host_memory_bytes / 2**30:.2f} GiB"),
        ("System", machine.system),
        ("Trainer", versions.splat_trainer),
        ("Python", versions.python),
        ("PyTorch", versions.torch or "none"),
        ("CUDA", versions.cuda or "none"),
        ("gsplat", versions.gsplat or "none"),
    ]
    if capture.lens:
        facts.insert(4, ("Lens", capture.lens))
    if metrics.dropped_gaussians:
        facts.append(("Not exported (NaN)", f"{metrics.dropped_gaussians:,} Gaussians"))
    return facts


def _number(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def _duration(seconds: float) -> tuple[str, str]:
    if seconds < 120:
        return f"{seconds:.1f}", "s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02}", "min"


def _count(value: float) -> str:
    if value >= 1e6:
        return f"{value / 1e6:.3g}M"
    return f"{value / 1e3:.3g}k" if value >= 1e4 else f"{value:,.0f}"
