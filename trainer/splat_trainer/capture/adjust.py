"""Adjusts lenses and points to tracks, with the poses as they are.

Levenberg-Marquardt (Marquardt 1963) with Huber's loss; the points, three numbers each, are
eliminated first, so that a system of seven numbers a camera remains (Triggs et al. 2000,
"Bundle adjustment: a modern synthesis", section 6.1).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from splat_trainer.capture.camera import Camera
from splat_trainer.capture.model import ColmapModel
from splat_trainer.capture.tracks import Tracks

Floats = NDArray[np.float64]

LENS = 7
"""Numbers of a lens: the focal length's factor, cx, cy, k1, k2, p1, p2 (Brown 1971; OpenCV)."""

_STEPS = 15
_CONVERGED = 1e-5
"""Share of the cost; a step that gains less is the last."""

_TRIES = 6
_WORST = 1_000


@dataclass(frozen=True)
class _View:
    """M observations: world to camera by `rotations` [M, 3, 3] and `translations` [M, 3].

    `camera` [M] and `points` [M] are rows of the adjusted cameras and points; `focal` [C, 2] are
    the focal lengths that the cameras start from; `xy` [M, 2] is where the points are seen.
    """

    rotations: Floats
    translations: Floats
    camera: NDArray[np.int64]
    focal: Floats
    xy: Floats
    points: NDArray[np.int64]


def adjust(
    model: ColmapModel, tracks: Tracks, cameras: Sequence[Camera], *, lens: bool
) -> tuple[list[Camera], Floats]:
    """Fit OPENCV `cameras` (with `lens`) and all points to what was seen through them.

    Gives the cameras and the points [N, 3] of the model; points that were not seen stay.
    """
    view = _view(model, tracks, cameras)
    used, rows = np.unique(view.points, return_inverse=True)
    view = replace(view, points=rows.reshape(-1))
    lenses, points = _lenses(cameras), model.points.xyz[used]
    errors = _errors(view, lenses, points)
    huber = max(2 * float(np.nanmedian(errors)), 1e-3) if len(errors) else 1.0
    cost, damping = _cost(errors, huber), 1e-4
    for _ in range(_STEPS):
        system = _System(view, lenses, points, huber)
        gained = 0.0
        for _ in range(_TRIES):
            lens_step, point_step = system.solve(damping, lens=lens)
            new = lenses + lens_step, points + point_step
            new_cost = _cost(_errors(view, *new), huber)
            if new_cost < cost:
                gained = (cost - new_cost) / cost
                (lenses, points), cost, damping = new, new_cost, max(damping / 5, 1e-9)
                break
            damping *= 10
        if gained < _CONVERGED:
            break
    adjusted = model.points.xyz.copy()
    adjusted[used] = points
    return [_camera(camera, row) for camera, row in zip(cameras, lenses, strict=True)], adjusted


def reprojection_errors(
    model: ColmapModel, tracks: Tracks, cameras: Sequence[Camera], points: Floats
) -> Floats:
    """Distances, in pixels, between where points are seen and where they should be."""
    view = _view(model, tracks, cameras)
    return _errors(view, _lenses(cameras), points)


def _view(model: ColmapModel, tracks: Tracks, cameras: Sequence[Camera]) -> _View:
    """What was seen through `cameras`."""
    rows = {camera.camera_id: row for row, camera in enumerate(cameras)}
    row_of_image = np.array([rows.get(image.camera_id, -1) for image in model.images])
    tracks = tracks.select(row_of_image[tracks.images] >= 0)
    worldtocam = np.linalg.inv(np.stack([image.camtoworld for image in model.images]))
    return _View(
        rotations=worldtocam[tracks.images, :3, :3],
        translations=worldtocam[tracks.images, :3, 3],
        camera=row_of_image[tracks.images],
        focal=np.array([(camera.fx, camera.fy) for camera in cameras]),
        xy=tracks.xy,
        points=tracks.points,
    )


def _lenses(cameras: Sequence[Camera]) -> Floats:
    return np.array([(1.0, camera.cx, camera.cy, *camera.distortion) for camera in cameras])


def _camera(camera: Camera, row: Floats) -> Camera:
    factor, cx, cy, *distortion = (float(value) for value in row)
    return replace(
        camera,
        fx=camera.fx * factor,
        fy=camera.fy * factor,
        cx=cx,
        cy=cy,
        distortion=tuple(distortion),
    )


def _project(view: _View, lenses: Floats, points: Floats) -> tuple[Floats, Floats, Floats]:
    """Places in the camera [M, 3], in the undistorted and in the distorted plane [M, 2]."""
    places = np.einsum("mij,mj->mi", view.rotations, points[view.points]) + view.translations
    plane = places[:, :2] / places[:, 2:]
    k1, k2, p1, p2 = lenses[view.camera, 3:].T
    x, y = plane.T
    r2 = x * x + y * y
    radial = 1 + k1 * r2 + k2 * r2 * r2
    bent = np.stack(
        [
            x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x),
            y * radial + 2 * p2 * x * y + p1 * (r2 + 2 * y * y),
        ],
        axis=1,
    )
    return places, plane, bent


def _residuals(view: _View, lenses: Floats, bent: Floats) -> Floats:
    own = lenses[view.camera]
    return np.asarray(view.focal[view.camera] * own[:, :1] * bent + own[:, 1:3] - view.xy)


def _errors(view: _View, lenses: Floats, points: Floats) -> Floats:
    places, _, bent = _project(view, lenses, points)
    errors = np.linalg.norm(_residuals(view, lenses, bent), axis=1)
    return np.where(places[:, 2] > 0, errors, np.nan)


def _cost(errors: Floats, huber: float) -> float:
    """Huber's loss; what is behind its camera, or nowhere, costs as much as any."""
    errors = np.nan_to_num(errors, nan=np.inf).clip(max=_WORST * huber)
    small = np.minimum(errors, huber)
    return float((small * (errors - small / 2)).sum())


class _System:
    """The normal equations at one place: of points [N, 3, 3], of lenses, and between them."""

    def __init__(self, view: _View, lenses: Floats, points: Floats, huber: float) -> None:
        places, plane, bent = _project(view, lenses, points)
        residuals = _residuals(view, lenses, bent)
        lengths = np.linalg.norm(residuals, axis=1)
        good = (places[:, 2] > 0) & np.isfinite(lengths)
        weight = np.where(good, np.minimum(1, huber / np.maximum(lengths, 1e-12)), 0)
        residuals = np.where(good[:, None], residuals, 0)
        by_point, by_lens = _jacobians(view, lenses, places, plane, bent)
        by_point[~good], by_lens[~good] = 0, 0

        self._cameras, count = len(lenses), len(points)
        self._point = _sums(view.points, count, _products(by_point, weight, by_point))
        self._point_slope = _sums(view.points, count, _onto(by_point, weight, residuals))
        self._lens = _sums(view.camera, self._cameras, _products(by_lens, weight, by_lens))
        self._lens_slope = _sums(view.camera, self._cameras, _onto(by_lens, weight, residuals))
        # Between a point and a camera: what all views of the point by that camera add up to.
        pairs, pair = np.unique(view.points * self._cameras + view.camera, return_inverse=True)
        self._pair_point, self._pair_camera = np.divmod(pairs, self._cameras)
        between = _products(by_point, weight, by_lens)
        self._between = _sums(pair.reshape(-1), len(pairs), between)

    def solve(self, damping: float, *, lens: bool) -> tuple[Floats, Floats]:
        """The step of lenses [C, 7] and of points [N, 3]."""
        inverse = np.linalg.inv(_damped(self._point, damping))
        points = -np.einsum("nij,nj->ni", inverse, self._point_slope)
        lenses = np.zeros((self._cameras, LENS))
        if not lens:
            return lenses, points
        size = self._cameras * LENS
        matrix = np.zeros((self._cameras, LENS, self._cameras, LENS))
        every = np.arange(self._cameras)
        matrix[every, :, every, :] = _damped(self._lens, damping)
        slope = self._lens_slope.copy()
        pulled = np.einsum("pij,pjk->pik", inverse[self._pair_point], self._between)
        np.subtract.at(
            slope,
            self._pair_camera,
            np.einsum("pik,pi->pk", pulled, self._point_slope[self._pair_point]),
        )
        for one, other in self._pairs_of_pairs():
            product = np.einsum("pki,pkj->pij", self._between[one], pulled[other])
            rows, columns = self._pair_camera[one], self._pair_camera[other]
            blocks = rows * self._cameras + columns
            total = _sums(blocks, self._cameras**2, product)
            total = total.reshape(self._cameras, self._cameras, LENS, LENS)
            matrix -= total.transpose(0, 2, 1, 3)
        solution = np.linalg.solve(matrix.reshape(size, size), -slope.reshape(size))
        lenses = np.asarray(solution.reshape(self._cameras, LENS), np.float64)
        moved = np.einsum("pij,pj->pi", pulled, lenses[self._pair_camera])
        np.subtract.at(points, self._pair_point, moved)
        return lenses, points

    def _pairs_of_pairs(self) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """Pairs of a point's cameras, as rows of `_between`: those n apart in each list at once."""
        starts = np.asarray(np.searchsorted(self._pair_point, self._pair_point))
        place = np.arange(len(starts)) - starts
        counts = np.bincount(self._pair_point)[self._pair_point]
        found = []
        for offset in range(int(counts.max(initial=0))):
            one = np.flatnonzero(offset < counts)
            found.append((one, starts[one] + (place[one] + offset) % counts[one]))
        return found


def _jacobians(
    view: _View, lenses: Floats, places: Floats, plane: Floats, bent: Floats
) -> tuple[Floats, Floats]:
    """Of the residuals by points [M, 2, 3] and by lenses [M, 2, 7]."""
    own = lenses[view.camera]
    focal = view.focal[view.camera] * own[:, :1]
    k1, k2, p1, p2 = own[:, 3:].T
    x, y = plane.T
    r2 = x * x + y * y
    radial, slope = 1 + k1 * r2 + k2 * r2 * r2, k1 + 2 * k2 * r2
    across = 2 * x * y * slope + 2 * p1 * x + 2 * p2 * y
    bend = np.empty((len(x), 2, 2))
    bend[:, 0, 0] = radial + 2 * x * x * slope + 2 * p1 * y + 6 * p2 * x
    bend[:, 1, 1] = radial + 2 * y * y * slope + 2 * p2 * x + 6 * p1 * y
    bend[:, 0, 1] = bend[:, 1, 0] = across
    nearer = np.zeros((len(x), 2, 3))
    nearer[:, 0, 0] = nearer[:, 1, 1] = 1 / places[:, 2]
    nearer[:, :, 2] = -plane / places[:, 2:]
    by_point = focal[:, :, None] * (bend @ nearer @ view.rotations)

    by_lens = np.zeros((len(x), 2, LENS))
    by_lens[:, :, 0] = view.focal[view.camera] * bent
    by_lens[:, 0, 1] = by_lens[:, 1, 2] = 1
    by_lens[:, :, 3] = focal * plane * r2[:, None]
    by_lens[:, :, 4] = focal * plane * (r2 * r2)[:, None]
    by_lens[:, :, 5] = focal * np.stack([2 * x * y, r2 + 2 * y * y], axis=1)
    by_lens[:, :, 6] = focal * np.stack([r2 + 2 * x * x, 2 * x * y], axis=1)
    return by_point, by_lens


def _products(one: Floats, weight: Floats, other: Floats) -> Floats:
    return np.asarray(np.einsum("mki,m,mkj->mij", one, weight, other, optimize=True))


def _onto(one: Floats, weight: Floats, residuals: Floats) -> Floats:
    return np.asarray(np.einsum("mki,m,mk->mi", one, weight, residuals, optimize=True))


def _sums(rows: NDArray[np.int64], count: int, values: Floats) -> Floats:
    """Add up `values` [M, ...] by row."""
    flat = np.reshape(values, (len(values), -1))
    columns = [np.bincount(rows, weights=column, minlength=count) for column in flat.T]
    return np.asarray(np.stack(columns, axis=1).reshape(count, *values.shape[1:]))


def _damped(matrices: Floats, damping: float) -> Floats:
    """Marquardt's: diagonals grow by a share of themselves, and are never zero."""
    size = matrices.shape[-1]
    diagonal = np.einsum("nii->ni", matrices)
    least = 1e-9 * diagonal.max(axis=1, keepdims=True) + 1e-12
    return np.asarray(matrices + np.eye(size) * (damping * diagonal + least)[:, None, :])
