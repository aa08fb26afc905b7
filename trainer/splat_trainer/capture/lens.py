"""Lens distortions of COLMAP's camera models, as maps of the plane.

Each function takes `uv` [..., 2], the undistorted coordinates in the model's base plane
(perspective: x/z and y/z; equidistant: the angle from the axis times the unit direction), and
`k`, the model's parameters after focal length and principal point; it gives the distorted
coordinates [..., 2], which focal length and principal point take to pixels. NaN where a
model has no answer. Formulas: COLMAP, src/colmap/sensor/models.h.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.float64]
Distort = Callable[[Plane, Sequence[float]], Plane]


def none(uv: Plane, k: Sequence[float]) -> Plane:
    """Return the plane unchanged."""
    return uv


def radial(uv: Plane, k: Sequence[float]) -> Plane:
    """Scale by 1 + k1 r² + k2 r⁴ + ..."""
    return np.asarray(uv * (1 + _polynomial(_square(uv), k)))


def opencv(uv: Plane, k: Sequence[float]) -> Plane:
    """Two radial and two tangential coefficients: k1, k2, p1, p2."""
    k1, k2, p1, p2 = k
    r2 = _square(uv)
    return np.asarray(uv * (1 + _polynomial(r2, (k1, k2))) + _tangential(uv, r2, p1, p2))


def full_opencv(uv: Plane, k: Sequence[float]) -> Plane:
    """OpenCV's rational model: k1, k2, p1, p2, k3, k4, k5, k6."""
    k1, k2, p1, p2, k3, k4, k5, k6 = k
    r2 = _square(uv)
    factor = (1 + _polynomial(r2, (k1, k2, k3))) / (1 + _polynomial(r2, (k4, k5, k6)))
    return np.asarray(uv * factor + _tangential(uv, r2, p1, p2))


def field_of_view(uv: Plane, k: Sequence[float]) -> Plane:
    """Devernay and Faugeras's FOV model: omega, in radians."""
    (omega,) = k
    if omega == 0:
        return uv
    r = np.sqrt(_square(uv))
    tan_half = np.tan(omega / 2)
    small = r < 1e-6
    safe = np.where(small, 1.0, r)
    factor = np.where(small, 2 * tan_half / omega, np.arctan(2 * safe * tan_half) / (safe * omega))
    return np.asarray(uv * factor)


def thin_prism(uv: Plane, k: Sequence[float]) -> Plane:
    """Radial, tangential and thin-prism terms: k1, k2, p1, p2, k3, k4, sx1, sy1."""
    k1, k2, p1, p2, k3, k4, sx1, sy1 = k
    r2 = _square(uv)
    prism = r2 * np.array([sx1, sy1])
    factor = 1 + _polynomial(r2, (k1, k2, k3, k4))
    return np.asarray(uv * factor + _tangential(uv, r2, p1, p2) + prism)


def rad_tan_thin_prism(uv: Plane, k: Sequence[float]) -> Plane:
    """Project Aria's Fisheye624: k0..k5, p0, p1, s0..s3."""
    p0, p1, s0, s1, s2, s3 = k[6:]
    bent = uv * (1 + _polynomial(_square(uv), k[:6]))
    r2 = _square(bent)
    p = np.array([p0, p1])
    along = 2 * (bent @ p)[..., None]
    prism = r2 * np.array([s0, s2]) + r2 * r2 * np.array([s1, s3])
    return np.asarray(bent * (1 + along) + r2 * p + prism)


def division(uv: Plane, k: Sequence[float]) -> Plane:
    """Fitzgibbon's division model, whose inverse is uv = d / (1 + k |d|²)."""
    (k1,) = k
    with np.errstate(invalid="ignore"):
        root = np.sqrt(1 - 4 * k1 * _square(uv))
    return np.asarray(uv * (2 / (1 + root)))


def eucm(uv: Plane, k: Sequence[float]) -> Plane:
    """Enhanced unified camera model (Khomutenko et al. 2016): alpha, beta."""
    alpha, beta = k
    with np.errstate(invalid="ignore"):
        d = np.sqrt(beta * _square(uv) + 1)
    return np.asarray(uv / (alpha * d + 1 - alpha))


def _square(uv: Plane) -> Plane:
    squares = uv * uv
    return np.asarray(squares[..., :1] + squares[..., 1:])  # np.sum is slow along an axis of two


def _polynomial(x: Plane, coefficients: Sequence[float]) -> Plane:
    """Give c1 x + c2 x² + ..., without a constant."""
    total = np.zeros_like(x)
    for c in reversed(coefficients):
        total = (total + c) * x
    return total


def _tangential(uv: Plane, r2: Plane, p1: float, p2: float) -> Plane:
    x, y, square = uv[..., 0], uv[..., 1], r2[..., 0]
    across = 2 * x * y
    along_x = p1 * across + p2 * (square + 2 * x * x)
    along_y = p2 * across + p1 * (square + 2 * y * y)
    return np.stack([along_x, along_y], axis=-1)
