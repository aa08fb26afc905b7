"""Ray casts the synthetic scene: diffuse light from a soft lamp and the sky, black beyond."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from splat_trainer.capture.camera import Camera
from splat_trainer.capture.synthetic.solids import Array, Box, Cone, Floor, Solid, Sphere

SUPERSAMPLES = 3
_LAMP = np.array([2.2, 1.4, 4.0])
_LAMP_SIZE = 0.5
_GAMMA = 2.2


def make_solids(seed: int) -> tuple[Solid, ...]:
    """Set the scene; the seed turns its colours a little."""
    draw = np.random.default_rng(seed)

    def color(r: float, g: float, b: float) -> Array:
        return np.clip(np.array([r, g, b]) + draw.uniform(-0.08, 0.08, 3), 0.02, 0.98)

    return (
        Floor(2.3, light=color(0.75, 0.68, 0.55), dark=color(0.28, 0.32, 0.42)),
        Sphere(np.array([-0.5, 0.15, 0.5]), 0.5, color(0.9, 0.35, 0.2), color(0.95, 0.8, 0.3), 6),
        Sphere(np.array([0.3, 0.85, 0.24]), 0.24, color(0.25, 0.7, 0.35), color(0.8, 0.9, 0.5), 4),
        Box(
            np.array([0.65, -0.2, 0.34]),
            np.array([0.28, 0.28, 0.34]),
            0.45,
            np.stack([color(0.2, 0.45, 0.85), color(0.55, 0.3, 0.75), color(0.85, 0.85, 0.9)]),
        ),
        Cone(
            np.array([-0.15, -0.85, 0.0]), 0.32, 0.75, color(0.15, 0.55, 0.6), color(0.95, 0.9, 0.7)
        ),
    )


def cast(
    solids: Sequence[Solid], origins: Array, directions: Array
) -> tuple[Array, NDArray[np.intp]]:
    """Give the distance [N] to what each ray meets first and which solid [N] that is."""
    distances = np.stack([solid.meet(origins, directions) for solid in solids])
    nearest = np.argmin(distances, axis=0)
    return distances[nearest, np.arange(len(origins))], nearest


def render(solids: Sequence[Solid], camera: Camera, camtoworld: Array) -> NDArray[np.uint8]:
    """Render [H, W, 3] uint8 as `camera`, of any lens, sees it from `camtoworld` [4, 4]."""
    total = np.zeros((camera.height * camera.width, 3))
    offsets = (np.arange(SUPERSAMPLES) + 0.5) / SUPERSAMPLES
    steps = [(x, y) for y in offsets for x in offsets]
    for x, y in steps:
        rows, columns = np.mgrid[: camera.height, : camera.width]
        pixels = np.stack([columns.ravel() + x, rows.ravel() + y], axis=1)
        origins, directions = rays_through(camera, camtoworld, pixels)
        lamp = _LAMP + _LAMP_SIZE * np.array([x - 0.5, y - 0.5, 0])
        total += radiance(solids, origins, directions, lamp)
    return _encode(total / len(steps)).reshape(camera.height, camera.width, 3)


def rays_through(camera: Camera, camtoworld: Array, pixels: Array) -> tuple[Array, Array]:
    """Give origins and unit directions [N, 3], in the world, of the rays through `pixels`."""
    rays = camera.rays_from_pixels(pixels)
    rays = rays / np.linalg.norm(rays, axis=1, keepdims=True)
    directions = rays @ camtoworld[:3, :3].T
    return np.broadcast_to(camtoworld[:3, 3], directions.shape).copy(), directions


def colors_at(solids: Sequence[Solid], origins: Array, directions: Array) -> NDArray[np.uint8]:
    """Give the colours [N, 3] uint8 of what rays meet, lit by the middle of the lamp."""
    return _encode(radiance(solids, origins, directions, _LAMP))


def radiance(solids: Sequence[Solid], origins: Array, directions: Array, lamp: Array) -> Array:
    """Give linear colours [N, 3]: Lambert's law, hard shadows from `lamp`, a little sky."""
    distances, which = cast(solids, origins, directions)
    color = np.zeros_like(origins)
    for index, solid in enumerate(solids):
        chosen = np.flatnonzero((which == index) & np.isfinite(distances))
        if not len(chosen):
            continue
        places = origins[chosen] + distances[chosen, None] * directions[chosen]
        normals = solid.normals(places)
        to_lamp = lamp - places
        reach = np.linalg.norm(to_lamp, axis=1)
        to_lamp /= reach[:, None]
        cosine = np.clip(np.sum(normals * to_lamp, axis=1), 0, None)
        blocked = cast(solids, places + 1e-3 * normals, to_lamp)[0] < reach
        light = 0.18 + 0.12 * normals[:, 2] + 0.75 * cosine * ~blocked
        color[chosen] = solid.albedo(places) * light[:, None]
    return color


def _encode(linear: Array) -> NDArray[np.uint8]:
    return np.asarray(np.clip(linear, 0, 1) ** (1 / _GAMMA) * 255 + 0.5).astype(np.uint8)
