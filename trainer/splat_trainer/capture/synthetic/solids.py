"""The solids of the synthetic scene and where rays meet them. World: z up, floor at z = 0."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
NEAR = 1e-4


class Solid(Protocol):
    """Something that rays can meet."""

    def meet(self, origins: Array, directions: Array) -> Array:
        """Give the distances [N] along unit `directions` [N, 3]; infinity where it is missed."""

    def normals(self, places: Array) -> Array:
        """Give the outward unit normals [N, 3] at `places` [N, 3] of the surface."""

    def albedo(self, places: Array) -> Array:
        """Give the linear colours [N, 3] at `places` [N, 3] of the surface, 0 to 1."""


@dataclass(frozen=True)
class Floor:
    """A disc at z = 0, softly chequered in two colours, black towards its rim."""

    radius: float
    light: Array
    dark: Array

    def meet(self, origins: Array, directions: Array) -> Array:
        """Give the distances to the disc, from above and below."""
        with np.errstate(divide="ignore", invalid="ignore"):
            t = -origins[:, 2] / directions[:, 2]
        xy = origins[:, :2] + t[:, None] * directions[:, :2]
        hit = (t > NEAR) & (np.sum(xy * xy, axis=1) < self.radius**2)
        return np.where(hit, t, np.inf)

    def normals(self, places: Array) -> Array:
        """Point up."""
        return np.broadcast_to([0.0, 0.0, 1.0], places.shape).copy()

    def albedo(self, places: Array) -> Array:
        """Blend between the colours over a fifth of a field, so that no edge is razor sharp."""
        wave = np.sin(places[:, 0] * np.pi / 0.5) * np.sin(places[:, 1] * np.pi / 0.5)
        share = _smooth(wave, -0.3, 0.3)[:, None]
        r = np.linalg.norm(places[:, :2], axis=1)
        fade = 1 - _smooth(r, 0.55 * self.radius, 0.95 * self.radius)[:, None]
        return np.asarray((share * self.light + (1 - share) * self.dark) * fade)


@dataclass(frozen=True)
class Sphere:
    """A ball with soft bands along its latitudes and a slow turn of colour around it."""

    center: Array
    radius: float
    color: Array
    band_color: Array
    bands: float

    def meet(self, origins: Array, directions: Array) -> Array:
        """Solve |o + t d - c| = r for its smaller positive root."""
        offset = origins - self.center
        b = np.sum(offset * directions, axis=1)
        root = b * b - np.sum(offset * offset, axis=1) + self.radius**2
        with np.errstate(invalid="ignore"):
            t = -b - np.sqrt(root)
        return np.where((root > 0) & (t > NEAR), t, np.inf)

    def normals(self, places: Array) -> Array:
        """Point away from the centre."""
        return np.asarray((places - self.center) / self.radius)

    def albedo(self, places: Array) -> Array:
        """Mix the two colours by latitude, and brighten one side."""
        n = self.normals(places)
        share = (0.5 + 0.5 * np.sin(self.bands * np.arcsin(np.clip(n[:, 2], -1, 1))))[:, None]
        turn = 0.85 + 0.15 * np.sin(2 * np.arctan2(n[:, 1], n[:, 0]))[:, None]
        return np.asarray((share * self.color + (1 - share) * self.band_color) * turn)


@dataclass(frozen=True)
class Box:
    """A block on the floor, turned about z by `angle`; each pair of faces has its colour."""

    center: Array
    half: Array
    angle: float
    colors: Array

    def _inside_frame(self, vectors: Array) -> Array:
        c, s = np.cos(self.angle), np.sin(self.angle)
        return np.asarray(vectors @ np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]))

    def meet(self, origins: Array, directions: Array) -> Array:
        """Intersect the three slabs (Kay and Kajiya 1986)."""
        o = self._inside_frame(origins - self.center)
        d = self._inside_frame(directions)
        with np.errstate(divide="ignore", invalid="ignore"):
            one, other = (-self.half - o) / d, (self.half - o) / d
        enter = np.nanmax(np.minimum(one, other), axis=1)
        leave = np.nanmin(np.maximum(one, other), axis=1)
        return np.where((enter <= leave) & (enter > NEAR), enter, np.inf)

    def normals(self, places: Array) -> Array:
        """Point along the axis whose face is nearest."""
        local = self._inside_frame(places - self.center) / self.half
        axis = np.argmax(np.abs(local), axis=1)
        face = np.zeros_like(places)
        rows = np.arange(len(places))
        face[rows, axis] = np.sign(local[rows, axis])
        c, s = np.cos(self.angle), np.sin(self.angle)
        return np.asarray(face @ np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]]))

    def albedo(self, places: Array) -> Array:
        """Colour by pair of faces, with soft stripes across."""
        local = self._inside_frame(places - self.center) / self.half
        axis = np.argmax(np.abs(local), axis=1)
        rows = np.arange(len(places))
        along = local[rows, (axis + 1) % 3]
        return np.asarray(self.colors[axis] * (0.8 + 0.2 * np.sin(2.5 * np.pi * along))[:, None])


@dataclass(frozen=True)
class Cone:
    """An upright cone on the floor, its colour climbing from base to tip."""

    base: Array
    radius: float
    height: float
    base_color: Array
    tip_color: Array

    def meet(self, origins: Array, directions: Array) -> Array:
        """Solve x² + y² = (k (h - z))² for its nearest root between base and tip."""
        o = origins - self.base - [0, 0, self.height]
        k2 = (self.radius / self.height) ** 2
        weights = np.array([1.0, 1.0, -k2])
        a = np.sum(weights * directions * directions, axis=1)
        b = np.sum(weights * o * directions, axis=1)
        c = np.sum(weights * o * o, axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            root = np.sqrt(b * b - a * c)
            roots = np.stack([(-b - root) / a, (-b + root) / a])
        z = o[:, 2] + roots * directions[:, 2]
        valid = (roots > NEAR) & (z <= 0) & (z >= -self.height)
        return np.asarray(np.min(np.where(valid, roots, np.inf), axis=0))

    def normals(self, places: Array) -> Array:
        """Point out of the mantle."""
        local = places - self.base
        n = np.concatenate([local[:, :2], np.zeros((len(places), 1))], axis=1)
        r = np.linalg.norm(n, axis=1, keepdims=True)
        n = n / np.maximum(r, 1e-9)
        n[:, 2] = self.radius / self.height
        return np.asarray(n / np.linalg.norm(n, axis=1, keepdims=True))

    def albedo(self, places: Array) -> Array:
        """Blend from base to tip."""
        share = np.clip((places[:, 2:] - self.base[2]) / self.height, 0, 1)
        return np.asarray((1 - share) * self.base_color + share * self.tip_color)


def _smooth(x: Array, low: float, high: float) -> Array:
    """Step smoothly from 0 at `low` to 1 at `high` (Hermite)."""
    t = np.clip((x - low) / (high - low), 0, 1)
    return np.asarray(t * t * (3 - 2 * t))
