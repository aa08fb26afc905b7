"""Loads a capture: from a folder to a scene that is ready to train on."""

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from splat_trainer.capture.camera import Camera
from splat_trainer.capture.colmap_model import read_model
from splat_trainer.capture.fault import UndecodableError, invalid, missing, reading
from splat_trainer.capture.fit_lens import fit_lens, with_fitted_lens
from splat_trainer.capture.folders import CaptureFolders, find_folders
from splat_trainer.capture.memory import available_bytes
from splat_trainer.capture.model import ColmapModel
from splat_trainer.capture.normalize import normalizing_transform, scene_scale, transform_poses
from splat_trainer.capture.pixels import read_photo, shrink, size_within
from splat_trainer.capture.precision import check_capture_frame
from splat_trainer.capture.scene import Scene, View
from splat_trainer.capture.shared_scene import SceneFile
from splat_trainer.capture.sources import Source, find_sources, mask_gap, read_all, stored_size
from splat_trainer.capture.undistort import Undistorter, about_undistorted
from splat_trainer.contract import Reason, TrainConfig, TrainerError
from splat_trainer.contract.failure import shown

_log = logging.getLogger(__name__)

MIN_POINTS = 4
"""A Gaussian starts as large as the distance to its three nearest points."""


Keep = Callable[[View], View]


def load_scene(folder: Path, config: TrainConfig, keep: Keep | None = None) -> Scene:
    """Read the capture in `folder`, undistort, shrink, normalise and split it.

    Each view that is decoded goes through `keep`, from several threads, which may put its pixels
    elsewhere.
    """
    folders = find_folders(folder)
    model = read_model(folders.model)
    if len(model.points) < MIN_POINTS:
        raise invalid(
            f"{folders.model} holds {len(model.points)} points: at least {MIN_POINTS} are needed "
            "to start from; triangulate it (colmap point_triangulator), or reconstruct it again"
        )
    lens = None
    if config.lens == "fit":
        model, lens = _with_lens(model)
    sources = _sources(model, folders, config.allow_missing_images)
    views, undecodable = _read_views(sources, config, keep)
    poses = np.stack([view.camtoworld for view in views])
    similarity = normalizing_transform(poses, model.points.xyz)
    poses = transform_poses(poses, similarity)
    views = [replace(view, camtoworld=pose) for view, pose in zip(views, poses, strict=True)]
    train, test = split_views(views, config.holdout_every)
    if not train:
        raise TrainerError(
            Reason.INVALID_CONFIGURATION,
            f"holdoutEvery {config.holdout_every} holds out all {len(views)} images: raise it",
        )
    return Scene(
        train_views=train,
        test_views=test,
        points=_moved(model.points.xyz, similarity),
        points_rgb=model.points.rgb,
        normalized_from_capture=similarity,
        scene_scale=scene_scale(poses),
        lens=lens,
        missing_images=len(model.images) - len(sources) + undecodable,
    )


def load_to_train(folder: Path, config: TrainConfig, descriptor: int) -> None:
    """Read a capture into an empty file, from where `read_scene` takes it.

    One that its splat could not be written for is refused, too.
    """
    file = SceneFile(descriptor)
    scene = load_scene(folder, config, file.keep)
    if config.frame == "capture":
        check_capture_frame(scene)
    file.write(scene)


def split_views(
    views: Sequence[View], holdout_every: int
) -> tuple[tuple[View, ...], tuple[View, ...]]:
    """Split views, sorted by name, into (train, test): every n-th is held out, the first too."""
    if holdout_every == 0:
        return tuple(views), ()
    test = tuple(views[::holdout_every])
    return tuple(view for i, view in enumerate(views) if i % holdout_every), test


def _with_lens(model: ColmapModel) -> tuple[ColmapModel, str]:
    """The model with its lens fitted, where it has none and the tracks tell one; and in words."""
    fit = fit_lens(model)
    told = fit.told() if fit else "as the model says: no camera is a pinhole with enough tracks"
    _log.info("lens: %s", told)
    return with_fitted_lens(model, fit), told


def _sources(model: ColmapModel, folders: CaptureFolders, allow_missing: bool) -> Sequence[Source]:
    found = find_sources(model, folders)
    absent = found.absent
    if not found.sources:
        with reading(folders.images):
            there = min((entry.name for entry in folders.images.iterdir()), default=None)
        raise missing(
            f"{folders.images} holds none of the {len(model.images)} images of the model: it "
            f"names {shown(model.images[0].name)}, and the folder "
            + ("is empty" if there is None else f"begins with {shown(there)}")
        )
    if absent and not allow_missing:
        raise missing(
            f"{folders.images} lacks {len(absent)} of the {len(model.images)} images of the "
            f"model, {shown(absent[0])} first: add them, or allow missing images"
        )
    if absent:
        _log.warning(
            "%d of %d images, %s first, have no file: left out",
            *(len(absent), len(model.images), shown(absent[0])),
        )
    if told := found.conversion():
        _log.info("%s", told)
    if gap := mask_gap(found.sources, folders.masks):
        _log.warning("%s", gap.told)
    return found.sources


def check_memory(sizes: Sequence[tuple[int, int]], max_side: int | None, free: int | None) -> None:
    """Refuse images that would not fit in `free` bytes, before the kernel kills the process."""
    fitted = [size_within(width, height, max_side) for width, height in sizes]
    needed = 3 * sum(width * height for width, height in fitted)
    if free is None or needed <= free:
        return
    side = int(max(map(max, fitted)) * (0.9 * free / needed) ** 0.5)
    raise TrainerError(
        Reason.OUT_OF_MEMORY,
        f"{len(sizes)} images take {needed / 2**30:.1f} GiB when decoded, and "
        f"{free / 2**30:.1f} GiB of memory are free: allow more, or set maxSide to {side}",
    )


def _read_views(
    sources: Sequence[Source], config: TrainConfig, keep: Keep | None
) -> tuple[list[View], int]:
    """The views of the sources, and how many of these are left out since they are undecodable."""
    sizes = [stored_size(source) for source in sources]
    undistorted = _undistorted(sources, sizes)
    check_memory(undistorted, config.max_side, available_bytes())
    undistort = Undistorter()

    def read(source: Source) -> View:
        view = _read_view(source, undistort, config.max_side)
        return keep(view) if keep else view

    views, failures = read_all(
        sources,
        [max(both, key=math.prod) for both in zip(sizes, undistorted, strict=True)],
        read,
    )
    forgiven = [one for one in failures if isinstance(one, UndecodableError)]
    if config.allow_missing_images and views and forgiven:
        failures = [one for one in failures if not isinstance(one, UndecodableError)]
    if failures:
        more = f" (and so are {len(failures) - 1} more)" if len(failures) > 1 else ""
        raise TrainerError(failures[0].reason, failures[0].message + more)
    if forgiven:
        _log.warning(
            "%d of %d images cannot be decoded: left out; first, %s",
            *(len(forgiven), len(sources), forgiven[0].message),
        )
    views = _without_hidden(views)
    if len(views) < 2:
        raise invalid(
            f"{sources[0].path.parent} has {len(views)} usable "
            f"{'image' if len(views) == 1 else 'images'} with a pose: at least 2 are needed"
        )
    return views, len(forgiven)


def _undistorted(
    sources: Sequence[Source], sizes: Sequence[tuple[int, int]]
) -> list[tuple[int, int]]:
    """About what the sizes of images become by undistorting: up to four times as many pixels."""
    scale = cache(_undistorted_scale)
    scales = [scale(source.camera) for source in sources]
    return [
        (round(width * across), round(height * down))
        for (width, height), (across, down) in zip(sizes, scales, strict=True)
    ]


def _undistorted_scale(camera: Camera) -> tuple[float, float]:
    try:
        pinhole = about_undistorted(camera)
    except TrainerError:
        return 1.0, 1.0  # undistorting the first image says why
    return pinhole.width / camera.width, pinhole.height / camera.height


def _without_hidden(views: list[View]) -> list[View]:
    """Views that show something: of those that a mask hides whole nothing can be measured."""
    hidden = [view.name for view in views if view.mask is not None and not view.mask.any()]
    if not hidden:
        return views
    _log.warning(
        "%d of %d images, %s first, are hidden whole by their masks: left out",
        *(len(hidden), len(views), shown(hidden[0])),
    )
    return [view for view in views if view.mask is None or view.mask.any()]


def _read_view(source: Source, undistort: Undistorter, max_side: int | None) -> View:
    photo = read_photo(source.path, source.mask, source.camera)
    height, width = photo.rgb.shape[:2]
    photo, camera = undistort(photo, source.camera.resized(width, height))
    size = size_within(camera.width, camera.height, max_side)
    if size != (camera.width, camera.height):
        photo, camera = shrink(photo, *size), camera.resized(*size)
    return View(source.image.name, source.image.camtoworld, camera.K, photo.rgb, photo.mask)


def _moved(xyz: NDArray[np.float64], similarity: NDArray[np.float64]) -> NDArray[np.float32]:
    return (xyz @ similarity[:3, :3].T + similarity[:3, 3]).astype(np.float32)
