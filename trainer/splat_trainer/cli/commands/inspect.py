"""`splat-trainer inspect`: what a capture holds, what is wrong with it, what memory it needs."""

from splat_trainer.capture.inspect import CameraSummary, CaptureReport, inspect_capture
from splat_trainer.cli.invocation import Invocation
from splat_trainer.cli.workspace import open_scratch
from splat_trainer.contract import ExitCode
from splat_trainer.storage import fetch_capture


def run(invocation: Invocation) -> ExitCode:
    """Print what was found; problems that training can live with are no failure."""
    arguments = invocation.arguments
    with open_scratch() as scratch:
        folder = fetch_capture(arguments.data, scratch, endpoint=arguments.endpoint_url)
        report = inspect_capture(folder)
    print(report.model_dump_json(indent=2) if arguments.json else "\n".join(_lines(report)))
    return ExitCode.DONE


def _lines(report: CaptureReport) -> list[str]:
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
            f"{_gib(report.gpu_bytes_at_one_million)} with a million Gaussians",
        ),
        *(("problem", problem) for problem in report.problems),
    ]
    if not report.problems:
        facts.append(("problems", "none found"))
    return [f"{name:<9} {value}" for name, value in facts]


def _masks(report: CaptureReport) -> str:
    return f", {report.masked_images} have a mask" if report.masked_images else ""


def _sizes(sizes: dict[str, int]) -> str:
    common = sorted(sizes.items(), key=lambda size: -size[1])
    told = ", ".join(f"{size} ({count})" for size, count in common[:4])
    return f"{told} and {len(common) - 4} more" if len(common) > 4 else told


def _camera(camera: CameraSummary) -> str:
    size = f"{camera.width}x{camera.height}"
    undistorted = f"{camera.undistorted_width}x{camera.undistorted_height}"
    told = f"{camera.model} {size}: {camera.cameras} for {camera.images} images"
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
