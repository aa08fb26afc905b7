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
Rows = NDArray[np.int64]

LENS = 7
"""Numbers of a lens: the focal length's factor, cx, cy, k1, k2, p1, p2 (Brown 1971; OpenCV)."""

_STEPS = 15
_CONVERGED = 1e-3
"""Share of the cost; a step that gains less is the last. What Huber's weights go on to gain after
it moves bonsai's lens by less than a hundredth of a pixel, another draw of points by a tenth."""

_TRIES = 6
_WORST = 1_000


@dataclass(frozen=True)
class _View:
    """M observations, sorted by point and camera: world to camera by `rotations` [3, 3, M] and
    `translations` [3, M].

    `camera` [M] and `points` [M] are rows of the adjusted cameras and points; `pair` [M] counts
    the P different pairs of them, `pair_points` [P] and `pair_cameras` [P]. `focal` [2, C] are the
    focal lengths that the cameras start from; `xy` [2, M] is where the points are seen.
    """

    rotations: Floats
    translations: Floats
    camera: Rows
    points: Rows
    pair: Rows
    pair_points: Rows
    pair_cameras: Rows
    focal: Floats
    xy: Floats


def adjust(
    model: ColmapModel, tracks: Tracks, cameras: Sequence[Camera], *, lens: bool
) -> tuple[list[Camera], Floats]:
    """Fit OPENCV `cameras` (with `lens`) and all points to what was seen through them.

    Gives the cameras and the points [N, 3] of the model; points that were not seen stay.
    """
    view, used = _view(model, tracks, cameras)
    lenses, points = _lenses(cameras), model.points.xyz[used].T
    errors = _errors(view, lenses, points)
    huber = max(2 * float(np.nanmedian(errors)), 1e-3) if len(errors) else 1.0
    cost, damping = _cost(errors, huber), 1e-4
    for _ in range(_STEPS):
        system = _System(view, lenses, points, huber, lens=lens)
        gained = 0.0
        for _ in range(_TRIES):
            lens_step, point_step = system.solve(damping)
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
    adjusted[used] = points.T
    return [_camera(camera, row) for camera, row in zip(cameras, lenses.T, strict=True)], adjusted


def reprojection_errors(
    model: ColmapModel, tracks: Tracks, cameras: Sequence[Camera], points: Floats
) -> Floats:
    """Distances, in pixels, between where points are seen and where they should be.

    In an order of their own, the same for all `cameras` of the same ids.
    """
    view, used = _view(model, tracks, cameras)
    return _errors(view, _lenses(cameras), points[used].T)


def _view(model: ColmapModel, tracks: Tracks, cameras: Sequence[Camera]) -> tuple[_View, Rows]:
    """What was seen through `cameras`, and the rows of the model's points that were."""
    rows = {camera.camera_id: row for row, camera in enumerate(cameras)}
    row_of_image = np.array([rows.get(image.camera_id, -1) for image in model.images])
    tracks = tracks.select(row_of_image[tracks.images] >= 0)
    used, points = np.unique(tracks.points, return_inverse=True)
    keys = points.reshape(-1) * len(cameras) + row_of_image[tracks.images]
    order = np.argsort(keys, kind="stable")
    pairs, pair = np.unique(keys[order], return_inverse=True)
    pair_points, pair_cameras = np.divmod(pairs, len(cameras))
    worldtocam = np.linalg.inv(np.stack([image.camtoworld for image in model.images]))
    by_image = np.ascontiguousarray(worldtocam.transpose(1, 2, 0))
    seen = by_image[:, :, tracks.images[order]]
    pair = pair.reshape(-1)
    view = _View(
        rotations=seen[:3, :3],
        translations=seen[:3, 3],
        camera=pair_cameras[pair],
        points=pair_points[pair],
        pair=pair,
        pair_points=pair_points,
        pair_cameras=pair_cameras,
        focal=np.array([(camera.fx, camera.fy) for camera in cameras]).T,
        xy=np.ascontiguousarray(tracks.xy[order].T),
    )
    return view, used


def _lenses(cameras: Sequence[Camera]) -> Floats:
    """What is adjusted of the cameras, [7, C]."""
    return np.array([(1.0, camera.cx, camera.cy, *camera.distortion) for camera in cameras]).T


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
    """Depths [M], places in the undistorted and in the distorted plane [2, M]."""
    places = np.einsum("ijm,jm->im", view.rotations, points[:, view.points]) + view.translations
    plane = places[:2] / places[2]
    k1, k2, p1, p2 = lenses[3:, view.camera]
    x, y = plane
    r2 = x * x + y * y
    radial = 1 + (k1 + k2 * r2) * r2
    across = 2 * x * y
    bent = np.stack(
        [
            x * radial + p1 * across + p2 * (r2 + 2 * x * x),
            y * radial + p2 * across + p1 * (r2 + 2 * y * y),
        ]
    )
    return places[2], plane, bent


def _residuals(view: _View, lenses: Floats, bent: Floats) -> Floats:
    factor, *centre = lenses[:3, view.camera]
    return np.asarray(view.focal[:, view.camera] * factor * bent + centre - view.xy)


def _errors(view: _View, lenses: Floats, points: Floats) -> Floats:
    depths, _, bent = _project(view, lenses, points)
    return np.where(depths > 0, np.hypot(*_residuals(view, lenses, bent)), np.nan)


def _cost(errors: Floats, huber: float) -> float:
    """Huber's loss; what is behind its camera, or nowhere, costs as much as any."""
    errors = np.nan_to_num(errors, nan=np.inf).clip(max=_WORST * huber)
    small = np.minimum(errors, huber)
    return float((small * (errors - small / 2)).sum())


class _System:
    """The normal equations at one place: of points [3, 3, N], and with `lens` of the lenses, too,
    and between a point and a camera: what all views of the point by that camera add up to.
    """

    def __init__(
        self, view: _View, lenses: Floats, points: Floats, huber: float, *, lens: bool
    ) -> None:
        depths, plane, bent = _project(view, lenses, points)
        residuals = _residuals(view, lenses, bent)
        lengths = np.hypot(*residuals)
        good = (depths > 0) & np.isfinite(lengths)
        # The root of Huber's weight, as every term is a product of two of these.
        weight = np.sqrt(np.minimum(1, huber / np.maximum(lengths, 1e-12)))
        residuals = np.where(good, residuals * weight, 0)
        by_point = np.where(good, _by_point(view, lenses, depths, plane) * weight, 0)

        self._lens, self._cameras, count = lens, lenses.shape[1], points.shape[1]
        self._point = _sums(view.points, count, _products(by_point, by_point))
        self._point_slope = _sums(view.points, count, _onto(by_point, residuals))
        if not lens:
            return
        by_lens = np.where(good, _by_lens(view, lenses, plane, bent) * weight, 0)
        self._pair_points, self._pair_cameras = view.pair_points, view.pair_cameras
        self._between = _sums(view.pair, len(view.pair_points), _products(by_point, by_lens))
        self._lens_blocks = np.empty((self._cameras, LENS, LENS))
        self._lens_slope = np.empty((self._cameras, LENS))
        for row in range(self._cameras):
            seen = view.camera == row
            own = by_lens[..., seen]
            self._lens_blocks[row] = np.einsum("kim,kjm->ij", own, own)
            self._lens_slope[row] = np.einsum("kim,km->i", own, residuals[:, seen])

    def solve(self, damping: float) -> tuple[Floats, Floats]:
        """The step of lenses [7, C] and of points [3, N]."""
        inverse = np.linalg.inv(_damped(np.moveaxis(self._point, -1, 0), damping))
        inverse = np.ascontiguousarray(np.moveaxis(inverse, 0, -1))
        points = -np.einsum("ijn,jn->in", inverse, self._point_slope)
        if not self._lens:
            return np.zeros((LENS, self._cameras)), points
        size = self._cameras * LENS
        matrix = np.zeros((self._cameras, LENS, self._cameras, LENS))
        every = np.arange(self._cameras)
        matrix[every, :, every, :] = _damped(self._lens_blocks, damping)
        pulled = np.einsum("ijp,jkp->ikp", inverse[..., self._pair_points], self._between)
        pull = np.einsum("ikp,ip->kp", pulled, self._point_slope[:, self._pair_points])
        slope = self._lens_slope - _sums(self._pair_cameras, self._cameras, pull).T
        for one, other in self._pairs_of_pairs():
            product = _products(self._between[..., one], pulled[..., other])
            blocks = self._pair_cameras[one] * self._cameras + self._pair_cameras[other]
            total = _sums(blocks, self._cameras**2, product)
            total = total.reshape(LENS, LENS, self._cameras, self._cameras)
            matrix -= total.transpose(2, 0, 3, 1)
        solution = np.linalg.solve(matrix.reshape(size, size), -slope.reshape(size))
        lenses = np.asarray(solution.reshape(self._cameras, LENS).T, np.float64)
        moved = np.einsum("ijp,jp->ip", pulled, lenses[:, self._pair_cameras])
        return lenses, points - _sums(self._pair_points, points.shape[1], moved)

    def _pairs_of_pairs(self) -> list[tuple[Rows, Rows]]:
        """Pairs of a point's cameras, as rows of `_between`: those n apart in each list at once."""
        starts = np.asarray(np.searchsorted(self._pair_points, self._pair_points))
        place = np.arange(len(starts)) - starts
        counts = np.bincount(self._pair_points)[self._pair_points]
        found = []
        for offset in range(int(counts.max(initial=0))):
            one = np.flatnonzero(offset < counts)
            found.append((one, starts[one] + (place[one] + offset) % counts[one]))
        return found


def _by_point(view: _View, lenses: Floats, depths: Floats, plane: Floats) -> Floats:
    """How residuals change with points, [2, 3, M]."""
    factor, k1, k2, p1, p2 = lenses[[0, 3, 4, 5, 6]][:, view.camera]
    x, y = plane
    r2 = x * x + y * y
    radial, slope = 1 + (k1 + k2 * r2) * r2, 2 * (k1 + 2 * k2 * r2)
    across = x * y * slope + 2 * (p1 * x + p2 * y)
    along_x = radial + x * x * slope + 2 * p1 * y + 6 * p2 * x
    along_y = radial + y * y * slope + 2 * p2 * x + 6 * p1 * y
    by_x, by_y = view.rotations[:2] - plane[:, None] * view.rotations[2]
    bent = np.stack([along_x * by_x + across * by_y, across * by_x + along_y * by_y])
    return np.asarray(bent * (view.focal[:, view.camera] * factor / depths)[:, None])


def _by_lens(view: _View, lenses: Floats, plane: Floats, bent: Floats) -> Floats:
    """How residuals change with lenses, [2, 7, M]."""
    focal = view.focal[:, view.camera]
    x, y = plane
    r2, across = x * x + y * y, 2 * x * y
    slopes = np.zeros((2, LENS, plane.shape[1]))
    slopes[:, 0] = focal * bent
    slopes[0, 1] = slopes[1, 2] = 1
    focal = focal * lenses[0, view.camera]
    slopes[:, 3] = focal * plane * r2
    slopes[:, 4] = slopes[:, 3] * r2
    slopes[:, 5] = focal * (across, r2 + 2 * y * y)
    slopes[:, 6] = focal * (r2 + 2 * x * x, across)
    return slopes


def _products(one: Floats, other: Floats) -> Floats:
    return np.asarray(np.einsum("kim,kjm->ijm", one, other))


def _onto(one: Floats, residuals: Floats) -> Floats:
    return np.asarray(np.einsum("kim,km->im", one, residuals))


def _sums(rows: Rows, count: int, values: Floats) -> Floats:
    """Add up `values` [..., M] by row."""
    flat = np.reshape(values, (-1, len(rows)))
    sums = [np.bincount(rows, weights=line, minlength=count) for line in flat]
    return np.asarray(np.reshape(sums, (*values.shape[:-1], count)))


def _damped(matrices: Floats, damping: float) -> Floats:
    """Marquardt's: diagonals grow by a share of themselves, and are never zero."""
    size = matrices.shape[-1]
    diagonal = np.einsum("nii->ni", matrices)
    least = 1e-9 * diagonal.max(axis=1, keepdims=True) + 1e-12
    return np.asarray(matrices + np.eye(size) * (damping * diagonal + least)[:, None, :])
