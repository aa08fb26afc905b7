"""Says what a capture holds, and what is wrong with it."""

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from splat_trainer.capture.camera import Camera
from splat_trainer.capture.colmap_model import model_suffix, read_model
from splat_trainer.capture.fault import reading
from splat_trainer.capture.fit_lens import LensFit, fit_lens, with_fitted_lens
from splat_trainer.capture.folders import IMAGE_SUFFIXES, CaptureFolders, find_folders
from splat_trainer.capture.model import ColmapModel
from splat_trainer.capture.pixels import Photo, read_photo
from splat_trainer.capture.precision import MOST_PIXELS, far_away, model_pixels_apart
from splat_trainer.capture.sources import (
    Found,
    MaskGap,
    Source,
    find_sources,
    mask_gap,
    read_all,
    stored_size,
)
from splat_trainer.capture.undistort import about_undistorted, undistorted_camera
from splat_trainer.contract import TrainerError
from splat_trainer.contract.failure import shown
from splat_trainer.contract.model import Document

FEW_IMAGES = 10
FEW_POINTS = 500
LARGE_ERROR = 2.0
"""Pixels of mean reprojection error above which a splat will be blurred."""

_NAMED = 3


class CameraSummary(Document):
    """Cameras of one model and size, and the size that an undistorted image of the first has.

    Of the first that an image is of and whose lens can be undone; None where there is none.
    """

    model: str
    width: int
    height: int
    cameras: int
    images: int
    undistorted_width: int | None = None
    undistorted_height: int | None = None


class CaptureReport(Document):
    """What a capture holds. `problems` are lines to read; none means that it can be trained on."""

    model_folder: str
    model_format: str
    image_folder: str
    mask_folder: str | None
    images: int = Field(description="Images with a pose.")
    readable_images: int
    masked_images: int
    image_sizes: dict[str, int] = Field(description="How many files are of a size, as WxH.")
    cameras: tuple[CameraSummary, ...]
    points: int
    mean_track_length: float | None = None
    mean_reprojection_error: float | None = Field(None, description="In pixels.")
    lens: str | None = Field(
        None, description="What a lens fitted to the tracks would do; absent where nothing good."
    )
    image_bytes: int = Field(description="Memory of all images, undistorted.")
    largest_pixels: int = Field(description="Pixels of the largest, undistorted.")
    problems: tuple[str, ...]
    notices: tuple[str, ...] = Field((), description="Lines to read of what may be meant so.")


def inspect_capture(folder: Path) -> CaptureReport:
    """Look at all of the capture in `folder`; a model that cannot be read at all is an error."""
    folders = find_folders(folder)
    model = read_model(folders.model)
    fit = fit_lens(model)
    found = find_sources(with_fitted_lens(model, fit), folders)
    sources = found.sources
    sizes = [stored_size(source) for source in sources]
    pixels_of = cache(_undistorted_pixels)
    photos, failures = read_all(sources, sizes, lambda source: _measure(source, pixels_of))
    pixels = [photo.undistorted_pixels for photo in photos]
    error = _mean_error(model.points.errors)
    cameras, camera_problems = _summarize(model)
    gap = mask_gap(sources, folders.masks)
    return CaptureReport(
        model_folder=str(folders.model),
        model_format="binary" if model_suffix(folders.model) == ".bin" else "text",
        image_folder=str(folders.images),
        mask_folder=None if folders.masks is None else str(folders.masks),
        images=len(model.images),
        readable_images=len(photos),
        masked_images=sum(photo.counting < 1 for photo in photos),
        image_sizes=dict(Counter(f"{photo.width}x{photo.height}" for photo in photos)),
        cameras=cameras,
        points=len(model.points),
        mean_track_length=float(np.mean(model.points.track_lengths)),
        mean_reprojection_error=error,
        lens=_lens(fit),
        image_bytes=3 * sum(pixels),
        largest_pixels=max(pixels, default=0),
        problems=(
            *_image_problems(model, folders, found.absent, failures),
            *_mask_problems(photos, gap),
            *camera_problems,
            *_model_problems(model, error),
        ),
        notices=_notices(found, gap),
    )


def _lens(fit: LensFit | None) -> str | None:
    """What `lens: fit` would find, where there is something to find."""
    if fit is None:
        return None
    return (
        f"{fit.told().removesuffix(': used')}: used, unless with --lens model"
        if fit.taken
        else fit.told()
    )


@dataclass(frozen=True)
class _Measured:
    """An image, of whose pixels the share `counting` is not masked out."""

    name: str
    height: int
    width: int
    counting: float
    undistorted_pixels: int


def _measure(source: Source, pixels_of: Callable[[Camera], int]) -> _Measured:
    photo: Photo = read_photo(source.path, source.mask, source.camera)
    height, width = photo.rgb.shape[:2]
    counting = 1.0 if photo.mask is None else float(photo.mask.mean())
    pixels = pixels_of(source.camera.resized(width, height))
    return _Measured(source.image.name, height, width, counting, pixels)


def _undistorted_pixels(camera: Camera) -> int:
    """How many pixels an undistorted image of a camera has; its own where it cannot be."""
    with suppress(TrainerError):  # a problem that is told for the camera
        camera = undistorted_camera(camera)
    return camera.width * camera.height


def _summarize(model: ColmapModel) -> tuple[tuple[CameraSummary, ...], list[str]]:
    used = Counter(image.camera_id for image in model.images)
    groups: dict[tuple[str, int, int], list[int]] = {}
    for camera in model.cameras.values():
        key = camera.model.name, camera.width, camera.height
        groups.setdefault(key, []).append(camera.camera_id)
    summaries, problems = [], []
    for (name, width, height), ids in sorted(groups.items()):
        sound, faults = _undoable(
            [model.cameras[camera_id] for camera_id in ids if used[camera_id]]
        )
        pinhole = undistorted_camera(sound[0]) if sound else None
        if faults:
            more = f" ({len(faults) - 1} more likewise)" if len(faults) > 1 else ""
            problems.append(faults[0].message + more)
        summaries.append(
            CameraSummary(
                model=name,
                width=width,
                height=height,
                cameras=len(ids),
                images=sum(used[camera_id] for camera_id in ids),
                undistorted_width=pinhole and pinhole.width,
                undistorted_height=pinhole and pinhole.height,
            )
        )
    return tuple(summaries), problems


def _undoable(cameras: Sequence[Camera]) -> tuple[list[Camera], list[TrainerError]]:
    """The cameras whose lens can be undone, and the faults of the others."""
    sound, faults = [], []
    for camera in cameras:
        try:
            about_undistorted(camera)
            sound.append(camera)
        except TrainerError as error:
            faults.append(error)
    return sound, faults


def _image_problems(
    model: ColmapModel, folders: CaptureFolders, absent: Sequence[str], failures: list[TrainerError]
) -> list[str]:
    problems = []
    if absent:
        problems.append(f"{_some(absent, len(model.images))} of the model have no file")
    problems += [failure.message for failure in failures]
    posed = {Path(image.name).with_suffix("") for image in model.images}
    with reading(folders.images):
        files = sorted(
            path.relative_to(folders.images)
            for path in folders.images.rglob("*")
            if path.suffix in IMAGE_SUFFIXES
        )
    unposed = [str(name) for name in files if name.with_suffix("") not in posed]
    if unposed:
        problems.append(f"{_some(unposed, len(files))} in {folders.images} have no pose")
    if len(model.images) < FEW_IMAGES:
        problems.append(f"only {len(model.images)} images have a pose: a splat of them has gaps")
    return problems


def _mask_problems(photos: Sequence[_Measured], gap: MaskGap | None) -> list[str]:
    problems = [gap.told] if gap and gap.of_all else []
    hidden = [photo.name for photo in photos if photo.counting == 0]
    if hidden:
        problems.append(f"{_some(hidden, len(photos))} are hidden whole by their masks")
    return problems


def _mean_error(errors: NDArray[np.float64]) -> float | None:
    """The mean of the errors that are known and finite."""
    known = errors[np.isfinite(errors) & (errors >= 0)]
    with np.errstate(over="ignore"):
        mean = float(np.mean(known)) if len(known) else np.inf
    return mean if np.isfinite(mean) else None


def _notices(found: Found, gap: MaskGap | None) -> tuple[str, ...]:
    told = [found.conversion(), None if gap is None or gap.of_all else gap.told]
    return tuple(line for line in told if line)


def _model_problems(model: ColmapModel, error: float | None) -> list[str]:
    problems = []
    if len(model.points) < FEW_POINTS:
        problems.append(f"only {len(model.points)} points: training starts from little")
    if error is not None and error > LARGE_ERROR:
        problems.append(
            f"the mean reprojection error is {error:.2f} pixels: adjust the model "
            "(colmap bundle_adjuster), with a camera model that fits the lens"
        )
    if (apart := model_pixels_apart(model)) > MOST_PIXELS:
        problems.append(far_away(apart))
    if model.folder.name == "0":
        others = [path.name for path in sorted(model.folder.parent.iterdir()) if path.is_dir()]
        others = [name for name in others if name != "0" and name.isdigit()]
        if others:
            problems.append(
                f"the reconstruction fell into {len(others) + 1} parts: {model.folder} is used, "
                f"{', '.join(others)} beside it are not"
            )
    return problems


def _some(names: Sequence[str], total: int) -> str:
    named = ", ".join(shown(name) for name in names[:_NAMED])
    return f"{len(names)} of {total} images ({named}{', ...' if len(names) > _NAMED else ''})"
