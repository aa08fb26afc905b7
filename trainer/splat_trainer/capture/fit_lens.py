"""Finds the lens that a model without distortion left out, from the model's own tracks.

Photos are often reconstructed as if they came from a pinhole. With the poses as they are, focal
length, principal point and OpenCV's k1, k2, p1, p2 of each camera are fitted to the tracks,
together with the points, by Levenberg-Marquardt with Huber's loss. One observation of every
longer track is held out: the fit is taken only if it explains those better, by more than chance.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from splat_trainer.capture.adjust import adjust, reprojection_errors
from splat_trainer.capture.camera import MODEL_BY_NAME, Camera
from splat_trainer.capture.model import ColmapModel
from splat_trainer.capture.tracks import Tracks, read_tracks
from splat_trainer.capture.undistort import undistorted_camera
from splat_trainer.contract import TrainerError

MOST_POINTS = 10_000
"""Points whose tracks are looked at; more only take longer."""

LEAST_OBSERVATIONS = 1_000
"""A camera through which less of that was seen keeps its model."""

MOST_CAMERAS = 64
"""Of more, there would be little to say about each."""

SIGNIFICANT = 4.0
"""Standard errors by which held-out observations must be explained better."""

LEAST_GAIN = 0.01
"""Share of their mean error that must go; less is not worth resampling the photos."""

LEAST_PIXELS = 0.001
"""What of it must go at least, in pixels: below that, on an exact model, it is rounding."""

_CLIPPED = 5.0
"""Medians of the error above which an observation is a mismatch and no larger one counts."""

_LEAST_TRACK = 4
"""Observations of which one can be held out and the point is still known by the others."""


@dataclass(frozen=True)
class LensFit:
    """What a fit found: mean errors of held-out observations, in pixels, without and with it.

    `cameras` are those that a lens was fitted for; `taken` says whether it is worth it.
    """

    cameras: tuple[Camera, ...]
    observations: int
    error_before: float
    error_after: float
    taken: bool

    def told(self) -> str:
        """The fit in one line."""
        gain = (
            f"the error of {self.observations} held-out observations from "
            f"{self.error_before:.3f} to {self.error_after:.3f} pixels"
        )
        if not self.taken:
            return (
                f"as the model says: one fitted to the tracks took {gain}, too little or by chance"
            )
        lenses = "; ".join(_lens(camera) for camera in self.cameras[:3])
        more = f" and {len(self.cameras) - 3} more" if len(self.cameras) > 3 else ""
        return f"a lens fitted to the tracks ({lenses}{more}) takes {gain}: used"


def fit_lens(model: ColmapModel) -> LensFit | None:
    """Fit a lens to each pinhole camera of a model; None where there is nothing to fit to."""
    if not any(camera.is_pinhole for camera in model.cameras.values()):
        return None
    tracks = read_tracks(model)
    through = np.array([model.cameras[image.camera_id].is_pinhole for image in model.images])
    tracks = _some(tracks.select(through[tracks.images]), len(model.points))
    pinholes = _pinholes(model, tracks)
    if not 0 < len(pinholes) <= MOST_CAMERAS:
        return None
    try:
        with np.errstate(all="ignore"):  # hostile numbers end in errors that are no better
            return _fit(model, tracks, pinholes)
    except np.linalg.LinAlgError:
        return None


def with_fitted_lens(model: ColmapModel, fit: LensFit | None) -> ColmapModel:
    """The model with the cameras of a fit, where it was taken."""
    if fit is None or not fit.taken:
        return model
    fitted = {camera.camera_id: camera for camera in fit.cameras}
    return replace(model, cameras={**model.cameras, **fitted})


def _fit(model: ColmapModel, tracks: Tracks, pinholes: list[Camera]) -> LensFit | None:
    held = _held_out(tracks)
    if held.sum() < LEAST_OBSERVATIONS // _LEAST_TRACK:
        return None
    seen, unseen = tracks.select(~held), tracks.select(held)
    starts = [_with_lens(camera) for camera in pinholes]
    # Without a lens the points may move, too: only what the lens itself explains counts.
    _, points = adjust(model, seen, starts, lens=False)
    before = reprojection_errors(model, unseen, starts, points)
    cameras, points = adjust(model, seen, starts, lens=True)
    after = reprojection_errors(model, unseen, cameras, points)
    limit = _CLIPPED * float(np.median(before))
    before, after = (np.nan_to_num(one, nan=limit).clip(max=limit) for one in (before, after))
    gain = before - after
    error = float(gain.std() / np.sqrt(len(gain)))
    significant = gain.mean() > SIGNIFICANT * error
    worth_it = gain.mean() > max(LEAST_GAIN * before.mean(), LEAST_PIXELS)
    return LensFit(
        cameras=tuple(cameras),
        observations=len(unseen),
        error_before=float(before.mean()),
        error_after=float(after.mean()),
        taken=bool(significant and worth_it and all(map(_can_be_undone, cameras))),
    )


def _some(tracks: Tracks, points: int) -> Tracks:
    """The tracks of `MOST_POINTS` points at most, drawn evenly; those of one view say nothing."""
    lengths = np.bincount(tracks.points, minlength=points)
    usable = np.flatnonzero(lengths >= 2)
    if len(usable) > MOST_POINTS:
        usable = np.random.default_rng(0).choice(usable, MOST_POINTS, replace=False)
    chosen = np.zeros(points, np.bool_)
    chosen[usable] = True
    return tracks.select(chosen[tracks.points])


def _pinholes(model: ColmapModel, tracks: Tracks) -> list[Camera]:
    """The cameras that enough was seen through, of tracks of pinholes alone."""
    camera_ids = np.array([image.camera_id for image in model.images])
    ids, counts = np.unique(camera_ids[tracks.images], return_counts=True)
    enough = {int(i) for i, count in zip(ids, counts, strict=True) if count >= LEAST_OBSERVATIONS}
    return [camera for camera in model.cameras.values() if camera.camera_id in enough]


def _held_out(tracks: Tracks) -> NDArray[np.bool_]:
    """One observation of each track that is long enough, drawn evenly, [M]."""
    lengths = np.bincount(tracks.points)[tracks.points]
    draw = np.random.default_rng(1).random(len(tracks))
    order = np.lexsort((draw, tracks.points))
    first = np.ones(len(tracks), np.bool_)
    first[1:] = tracks.points[order][1:] != tracks.points[order][:-1]
    held = np.zeros(len(tracks), np.bool_)
    held[order[first]] = True
    return np.asarray(held & (lengths >= _LEAST_TRACK))


def _with_lens(camera: Camera) -> Camera:
    return replace(camera, model=MODEL_BY_NAME["OPENCV"], distortion=(0.0, 0.0, 0.0, 0.0))


def _can_be_undone(camera: Camera) -> bool:
    try:
        undistorted_camera(camera)
    except TrainerError:
        return False
    return bool(np.isfinite(camera.params).all()) and min(camera.fx, camera.fy) > 0


def _lens(camera: Camera) -> str:
    k1, k2, p1, p2 = camera.distortion
    return (
        f"camera {camera.camera_id}: focal length {camera.fx:.1f}, k1 {k1:.4f}, k2 {k2:.4f}, "
        f"p1 {p1:.5f}, p2 {p2:.5f}"
    )
