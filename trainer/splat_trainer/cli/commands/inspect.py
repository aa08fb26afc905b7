"""`splat-trainer inspect`: what a capture holds, what is wrong with it, what memory it needs."""

from pydantic import Field

from splat_trainer.capture.inspect import CameraSummary, CaptureReport, inspect_capture
from splat_trainer.cli.invocation import Invocation
from splat_trainer.cli.workspace import open_scratch
from splat_trainer.contract import ExitCode, TrainConfig
from splat_trainer.contract.model import Document
from splat_trainer.contract.presets import PRESETS, Preset
from splat_trainer.optimize.gpu_memory import BYTES_A_GAUSSIAN, peak_gpu_bytes
from splat_trainer.optimize.growth_plan import CaptureSize, count_cap
from splat_trainer.optimize.schedule import schedule_for
from splat_trainer.storage import fetch_capture
from splat_trainer.storage.origin import named_by_origin


class PresetNeeds(Document):
    """What a training with a preset, and nothing else set, comes to on this capture."""

    preset: Preset
    gaussians: int | None = Field(description="At most, about; null where nothing bounds them.")
    gpu_bytes: int | None = Field(description="GPU memory with so many, about.")


class Inspection(CaptureReport):
    """What a capture holds, and what training on it takes."""

    presets: tuple[PresetNeeds, ...]


def run(invocation: Invocation) -> ExitCode:
    """Print what was found; problems that training can live with are no failure."""
    arguments = invocation.arguments
    with open_scratch() as scratch:
        folder = fetch_capture(arguments.data, scratch, endpoint=arguments.endpoint_url)
        found = inspect_capture(folder)
    named = found.model_copy(
        update={
            "model_folder": named_by_origin(found.model_folder),
            "image_folder": named_by_origin(found.image_folder),
            "problems": tuple(map(named_by_origin, found.problems)),
            "notices": tuple(map(named_by_origin, found.notices)),
        }
    )
    report = Inspection(**dict(named), presets=tuple(_needs(found, preset) for preset in PRESETS))
    print(report.model_dump_json(indent=2) if arguments.json else "\n".join(_lines(report)))
    return ExitCode.DONE


def _needs(report: CaptureReport, preset: Preset) -> PresetNeeds:
    config = TrainConfig(preset=preset)
    trained = 1 - 1 / config.holdout_every
    size = CaptureSize(
        views=round(report.readable_images * trained),
        pixels=round(report.image_bytes // 3 * trained),
        points=report.points,
    )
    cap = count_cap(config, schedule_for(config), size)
    peak = None if cap is None else peak_gpu_bytes(size, report.largest_pixels, cap)
    return PresetNeeds(preset=preset, gaussians=cap, gpu_bytes=peak)


def _lines(report: Inspection) -> list[str]:
    facts = [
        ("model", f"{report.model_folder} ({report.model_format})"),
        (
            "images",
            f"{report.image_folder}: {report.readable_images} of {report.images} posed images "
            f"are readable{_masks(report)}",
        ),
        ("sizes", _sizes(report.image_sizes)),
        *(("camera", _camera(camera)) for camera in report.cameras),
        ("points", _points(report)),
        *([("lens", report.lens)] if report.lens else []),
        (
            "memory",
            f"{_gib(report.image_bytes)} of images; on a GPU about "
            f"{_gib(BYTES_A_GAUSSIAN * 1_000_000)} for each million Gaussians, besides",
        ),
        *(("preset", _told(needs)) for needs in report.presets),
        *(("problem", problem) for problem in report.problems),
        *(("notice", notice) for notice in report.notices),
    ]
    if not report.problems:
        facts.append(("problems", "none found"))
    return [f"{name:<9} {value}" for name, value in facts]


def _told(needs: PresetNeeds) -> str:
    if needs.gaussians is None or needs.gpu_bytes is None:
        return f"{needs.preset}: nothing bounds its Gaussians, unless maxGaussians is set"
    return (
        f"{needs.preset}: about {needs.gaussians:,} Gaussians and {_gib(needs.gpu_bytes)} of "
        "GPU memory"
    )


def _masks(report: CaptureReport) -> str:
    return f", {report.masked_images} have a mask" if report.masked_images else ""


def _sizes(sizes: dict[str, int]) -> str:
    common = sorted(sizes.items(), key=lambda size: -size[1])
    told = ", ".join(f"{size} ({count})" for size, count in common[:4])
    return f"{told} and {len(common) - 4} more" if len(common) > 4 else told


def _camera(camera: CameraSummary) -> str:
    size = f"{camera.width}x{camera.height}"
    told = f"{camera.model} {size}: {camera.cameras} for {camera.images} images"
    if camera.undistorted_width is None:
        return f"{told}, which cannot be undistorted" if camera.images else told
    undistorted = f"{camera.undistorted_width}x{camera.undistorted_height}"
    return told if undistorted == size else f"{told}, undistorted to {undistorted}"


def _points(report: CaptureReport) -> str:
    told = f"{report.points:,}"
    if report.mean_track_length:
        told += f", each seen in {report.mean_track_length:.1f} images"
    if report.mean_reprojection_error is not None:
        told += f", mean error {report.mean_reprojection_error:.2f} pixels"
    return told


def _gib(count: int) -> str:
    return f"{count / 2**30:.2f} GiB"
