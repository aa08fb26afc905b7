"""Where each pixel of a pinhole photo looks in the photo of the distorting camera it is made from.

A lens bends smoothly: exact places of every few pixels, and straight lines between them, do for
all. That is what a capture with a camera for each photo, COLMAP's default, takes its time for.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from splat_trainer.capture.camera import Camera
from splat_trainer.capture.resample import Places, SampleMap

_STEPS = (16, 8, 4, 2)
"""Distances in pixels between exact places that are tried, the cheapest first."""

_TOLERANCE = 1 / 256
"""How far off, in pixels, a place may be between them: a step of the map's weights."""

_PIXELS_AT_ONCE = 2**18


@dataclass(frozen=True)
class PixelMap:
    """Where each pixel of the photo of the pinhole `camera` looks in the source.

    `mask` [H, W] is true where that lies inside the source, or None where all do.
    """

    camera: Camera
    where: SampleMap
    mask: NDArray[np.bool_] | None


def pixel_map(camera: Camera, pinhole: Camera) -> PixelMap:
    """Work out where each pixel of `pinhole` looks in the photo of `camera`."""
    width, height = pinhole.width, pinhole.height
    where = SampleMap.empty(height, width)
    outside: dict[int, NDArray[np.bool_]] = {}
    step, nodes = _nodes(camera, pinhole)
    at_once = max(1, _PIXELS_AT_ONCE // (width * step)) * step
    for top in range(0, height, at_once):
        rows = range(top, min(top + at_once, height))
        if nodes is None:
            x, y = _exact(camera, pinhole, range(width), rows)
        else:
            x, y = _between(nodes[:, top // step :], step, len(rows), width)
        if not (_all_within(x, camera.width) and _all_within(y, camera.height)):
            within = (x >= 0) & (x <= camera.width) & (y >= 0) & (y <= camera.height)
            outside[top] = ~within
        where.fill(slice(top, rows.stop), x, y, camera.width, camera.height)
    if not outside:
        return PixelMap(pinhole, where, None)
    mask = np.ones((height, width), np.bool_)
    for top, rows_outside in outside.items():
        mask[top : top + len(rows_outside)] = ~rows_outside
    return PixelMap(pinhole, where, mask)


def _exact(camera: Camera, pinhole: Camera, columns: range, rows: range) -> Places:
    """Places x and y, [2, rows, columns], in the source."""
    x = (np.array(columns) + 0.5 - pinhole.cx) / pinhole.fx
    y = (np.array(rows) + 0.5 - pinhole.cy) / pinhole.fy
    seen = camera.pixels_from_plane(np.stack(np.meshgrid(x, y), axis=-1))
    return np.stack([seen[..., 0], seen[..., 1]])


def _nodes(camera: Camera, pinhole: Camera) -> tuple[int, Places | None]:
    """The exact places of every few pixels, to beyond the last, and of how many one is.

    None where they are to be told for each: the lens bends too sharply, or has no answer.
    """
    for step in _STEPS:
        columns, rows = (range(0, side + step, step) for side in (pinhole.width, pinhole.height))
        nodes = _exact(camera, pinhole, columns, rows)
        if min(nodes.shape[1:]) < 3:
            continue
        with np.errstate(invalid="ignore"):
            # A straight line is off by an eighth of the second difference, along either axis.
            bends = [np.abs(np.diff(nodes, 2, axis=axis)).max() for axis in (1, 2)]
        if sum(bends) / 8 <= _TOLERANCE:
            return step, nodes
    return 1, None


def _between(nodes: Places, step: int, rows: int, width: int) -> Places:
    """Places x and y, [2, rows, width] float32, on straight lines between `nodes`."""
    nodes = nodes[:, : -(-rows // step) + 1]
    shares = np.arange(step) / step
    wide = nodes[..., :-1, None] + np.diff(nodes, axis=2)[..., None] * shares
    wide = wide.reshape(2, nodes.shape[1], -1)[..., :width]
    down = np.diff(wide, axis=1).astype(np.float32)[:, :, None]
    places = down * shares.astype(np.float32)[:, None]
    places += wide[:, :-1, None].astype(np.float32)
    return places.reshape(2, -1, width)[:, :rows]


def _all_within(places: Places, size: int) -> bool:
    return bool(places.min() >= 0 and places.max() <= size)
