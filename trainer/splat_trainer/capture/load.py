"""Loads a capture: from a folder to a scene that is ready to train on."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from splat_trainer.capture.camera import Camera
from splat_trainer.capture.colmap_model import read_model
from splat_trainer.capture.fault import invalid, missing
from splat_trainer.capture.folders import CaptureFolders, find_folders, find_image, find_mask
from splat_trainer.capture.model import ColmapModel, PosedImage
from splat_trainer.capture.normalize import normalizing_transform, scene_scale, transform_poses
from splat_trainer.capture.pixels import read_photo, shrink, size_within
from splat_trainer.capture.scene import Scene, View
from splat_trainer.capture.undistort import undistort
from splat_trainer.contract import Reason, TrainConfig, TrainerError
from splat_trainer.contract.failure import shown

MIN_POINTS = 4
"""A Gaussian starts as large as the distance to its three nearest points."""


@dataclass(frozen=True)
class _Source:
    image: PosedImage
    camera: Camera
    path: Path
    mask: Path | None


def load_scene(folder: Path, config: TrainConfig) -> Scene:
    """Read the capture in `folder`, undistort, shrink, normalise and split it."""
    folders = find_folders(folder)
    model = read_model(folders.model)
    if len(model.points) < MIN_POINTS:
        raise invalid(
            f"{folders.model} holds {len(model.points)} points: at least {MIN_POINTS} are needed"
        )
    sources = _find_sources(model, folders, config.allow_missing_images)
    views = _read_views(sources, config)
    if len(views) < 2:
        raise invalid(
            f"{folder} has {len(views)} usable posed image: at least 2 are needed, one to train "
            "on and one to measure by"
        )
    similarity = normalizing_transform(
        np.stack([view.camtoworld for view in views]), model.points.xyz
    )
    poses = transform_poses(np.stack([view.camtoworld for view in views]), similarity)
    views = [replace(view, camtoworld=pose) for view, pose in zip(views, poses, strict=True)]
    train, test = split_views(views, config.holdout_every)
    if not train:
        raise invalid(
            f"holdout_every {config.holdout_every} holds out all {len(views)} images: raise it"
        )
    return Scene(
        train_views=train,
        test_views=test,
        points=_move(model.points.xyz, similarity).astype(np.float32),
        points_rgb=model.points.rgb,
        normalized_from_capture=similarity,
        scene_scale=scene_scale(poses),
    )


def split_views(
    views: Sequence[View], holdout_every: int
) -> tuple[tuple[View, ...], tuple[View, ...]]:
    """Split views, sorted by name, into (train, test): every n-th is held out, the first too."""
    if holdout_every == 0:
        return tuple(views), ()
    test = tuple(views[::holdout_every])
    return tuple(view for i, view in enumerate(views) if i % holdout_every), test


def _move(xyz: NDArray[np.float64], similarity: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(xyz @ similarity[:3, :3].T + similarity[:3, 3])


def _find_sources(
    model: ColmapModel, folders: CaptureFolders, allow_missing: bool
) -> list[_Source]:
    sources, absent = [], []
    for image in model.images:
        path = find_image(folders.images, image.name)
        if path is None:
            absent.append(image.name)
        else:
            mask = find_mask(folders.masks, image.name)
            sources.append(_Source(image, model.cameras[image.camera_id], path, mask))
    if not sources:
        there = next((entry.name for entry in sorted(folders.images.iterdir())), None)
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
    return sources


def _read_views(sources: Sequence[_Source], config: TrainConfig) -> list[View]:
    """Decode in parallel: the decoders and the resampling leave Python's lock alone."""

    def read(source: _Source) -> View | TrainerError:
        try:
            return _read_view(source, config.max_side)
        except TrainerError as error:
            return error

    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        results = list(pool.map(read, sources))
    errors = [result for result in results if isinstance(result, TrainerError)]
    if errors and not (config.allow_missing_images and all(map(_is_unreadable, errors))):
        more = f" (and {len(errors) - 1} more images)" if len(errors) > 1 else ""
        raise TrainerError(errors[0].reason, errors[0].message + more)
    return [result for result in results if isinstance(result, View)]


def _is_unreadable(error: TrainerError) -> bool:
    return error.reason is Reason.INVALID_CAPTURE


def _read_view(source: _Source, max_side: int | None) -> View:
    photo = read_photo(source.path, source.mask, source.camera)
    height, width = photo.rgb.shape[:2]
    photo, camera = undistort(photo, source.camera.resized(width, height))
    size = size_within(camera.width, camera.height, max_side)
    if size != (camera.width, camera.height):
        photo, camera = shrink(photo, *size), camera.resized(*size)
    return View(source.image.name, source.image.camtoworld, camera.K, photo.rgb, photo.mask)
