"""COLMAP's camera models by number and name, and cameras of them: rays to pixels and back.

Numbers, names and the order of parameters: COLMAP, src/colmap/sensor/models.h (4.2).
Pixels are COLMAP's: the centre of the corner pixel is at (0.5, 0.5).
"""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from splat_trainer.capture import lens

Base = Literal["perspective", "equidistant", "equirectangular"]

_NEWTON_STEPS = 50
_CONVERGED = 1e-9


@dataclass(frozen=True)
class CameraModel:
    """One of COLMAP's camera models; `params` names its parameters in their order."""

    model_id: int
    name: str
    params: tuple[str, ...]
    base: Base
    distort: lens.Distort


def _model(
    model_id: int, name: str, params: str, distort: lens.Distort, base: Base = "perspective"
) -> CameraModel:
    return CameraModel(model_id, name, tuple(params.split()), base, distort)


CAMERA_MODELS: tuple[CameraModel, ...] = (
    _model(0, "SIMPLE_PINHOLE", "f cx cy", lens.none),
    _model(1, "PINHOLE", "fx fy cx cy", lens.none),
    _model(2, "SIMPLE_RADIAL", "f cx cy k", lens.radial),
    _model(3, "RADIAL", "f cx cy k1 k2", lens.radial),
    _model(4, "OPENCV", "fx fy cx cy k1 k2 p1 p2", lens.opencv),
    _model(5, "OPENCV_FISHEYE", "fx fy cx cy k1 k2 k3 k4", lens.radial, "equidistant"),
    _model(6, "FULL_OPENCV", "fx fy cx cy k1 k2 p1 p2 k3 k4 k5 k6", lens.full_opencv),
    _model(7, "FOV", "fx fy cx cy omega", lens.field_of_view),
    _model(8, "SIMPLE_RADIAL_FISHEYE", "f cx cy k", lens.radial, "equidistant"),
    _model(9, "RADIAL_FISHEYE", "f cx cy k1 k2", lens.radial, "equidistant"),
    _model(
        10,
        "THIN_PRISM_FISHEYE",
        "fx fy cx cy k1 k2 p1 p2 k3 k4 sx1 sy1",
        lens.thin_prism,
        "equidistant",
    ),
    _model(
        11,
        "RAD_TAN_THIN_PRISM_FISHEYE",
        "fx fy cx cy k0 k1 k2 k3 k4 k5 p0 p1 s0 s1 s2 s3",
        lens.rad_tan_thin_prism,
        "equidistant",
    ),
    _model(12, "SIMPLE_DIVISION", "f cx cy k", lens.division),
    _model(13, "DIVISION", "fx fy cx cy k", lens.division),
    _model(14, "SIMPLE_FISHEYE", "f cx cy", lens.none, "equidistant"),
    _model(15, "FISHEYE", "fx fy cx cy", lens.none, "equidistant"),
    _model(16, "EUCM", "fx fy cx cy alpha beta", lens.eucm),
    _model(17, "EQUIRECTANGULAR", "w h", lens.none, "equirectangular"),
)
MODEL_BY_ID = {model.model_id: model for model in CAMERA_MODELS}
MODEL_BY_NAME = {model.name: model for model in CAMERA_MODELS}


@dataclass(frozen=True)
class Camera:
    """A calibrated camera. `fx, fy, cx, cy` are in pixels; `distortion` as its model orders it."""

    camera_id: int
    model: CameraModel
    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float
    distortion: tuple[float, ...] = ()

    @classmethod
    def from_params(
        cls,
        camera_id: int,
        model: CameraModel,
        width: int,
        height: int,
        params: tuple[float, ...],
    ) -> "Camera":
        """Build one from a COLMAP parameter list, of the length that its model asks for."""
        if model.base == "equirectangular":
            return cls(camera_id, model, width, height, 0.0, 0.0, 0.0, 0.0, params)
        own_fy = model.params[1] == "fy"
        fx, rest = params[0], params[1:]
        fy, rest = (rest[0], rest[1:]) if own_fy else (fx, rest)
        return cls(camera_id, model, width, height, fx, fy, rest[0], rest[1], rest[2:])

    @property
    def params(self) -> tuple[float, ...]:
        """The parameters as COLMAP lists them."""
        if self.model.base == "equirectangular":
            return self.distortion
        focal = (self.fx, self.fy) if self.model.params[1] == "fy" else (self.fx,)
        return (*focal, self.cx, self.cy, *self.distortion)

    @property
    def K(self) -> NDArray[np.float64]:  # noqa: N802 - the field's own name
        """Intrinsics [3, 3] in pixels, without distortion."""
        return np.array([[self.fx, 0, self.cx], [0, self.fy, self.cy], [0, 0, 1]])

    @property
    def is_pinhole(self) -> bool:
        """Whether a straight line in the world is straight in the image."""
        if self.model.base != "perspective":
            return False
        if self.model.distort in (lens.eucm, lens.field_of_view):
            return self.distortion[0] == 0
        return not any(self.distortion)

    def resized(self, width: int, height: int) -> "Camera":
        """Give the camera of the same photo at another size."""
        sx, sy = width / self.width, height / self.height
        return replace(
            self,
            width=width,
            height=height,
            fx=self.fx * sx,
            fy=self.fy * sy,
            cx=self.cx * sx,
            cy=self.cy * sy,
        )

    def pixels_from_rays(self, rays: NDArray[np.float64]) -> NDArray[np.float64]:
        """Project `rays` [..., 3], in the camera's frame with z > 0, to pixels [..., 2]."""
        return self.pixels_from_plane(rays[..., :2] / rays[..., 2:])

    def pixels_from_plane(self, uv: NDArray[np.float64]) -> NDArray[np.float64]:
        """Project the rays (u, v, 1) of `uv` [..., 2] to pixels [..., 2]."""
        if self.model.base == "equidistant":
            r = np.linalg.norm(uv, axis=-1, keepdims=True)
            safe = np.where(r < 1e-12, 1.0, r)
            uv = uv * np.where(r < 1e-12, 1.0, np.arctan(safe) / safe)
        distorted = self.model.distort(uv, self.distortion)
        # One by one: numpy is slow along an axis of two.
        x, y = distorted[..., 0] * self.fx + self.cx, distorted[..., 1] * self.fy + self.cy
        return np.stack([x, y], axis=-1)

    def rays_from_pixels(self, pixels: NDArray[np.float64]) -> NDArray[np.float64]:
        """Give the rays [..., 3] with z = 1 that `pixels` [..., 2] see; NaN where there is none."""
        target = (pixels - np.array([self.cx, self.cy])) / np.array([self.fx, self.fy])
        uv = self._undistort(target)
        if self.model.base == "equidistant":
            theta = np.linalg.norm(uv, axis=-1, keepdims=True)
            safe = np.where(theta < 1e-12, 1.0, theta)
            factor = np.where(theta < 1e-12, 1.0, np.tan(safe) / safe)
            uv = uv * np.where(theta < np.pi / 2, factor, np.nan)
        return np.concatenate([uv, np.ones_like(uv[..., :1])], axis=-1)

    def _undistort(self, target: NDArray[np.float64]) -> NDArray[np.float64]:
        """Solve distort(uv) = target by Newton's method with a numeric Jacobian."""
        step = 1e-6
        around = np.array([[0, 0], [step, 0], [-step, 0], [0, step], [0, -step]])
        around = around.reshape(5, *(1,) * (target.ndim - 1), 2)
        uv = target.copy()
        with np.errstate(all="ignore"):
            for _ in range(_NEWTON_STEPS):
                here, right, left, below, above = self.model.distort(uv + around, self.distortion)
                columns = [(right - left) / (2 * step), (below - above) / (2 * step)]
                (a, c), (b, d) = (np.moveaxis(column, -1, 0) for column in columns)
                e, f = np.moveaxis(here - target, -1, 0)
                determinant = a * d - b * c
                change = np.stack([d * e - b * f, a * f - c * e], axis=-1) / determinant[..., None]
                uv = uv - change
                if not np.any(np.abs(change) > _CONVERGED):
                    break
            error = self.model.distort(uv, self.distortion) - target
            solved = np.all(np.abs(error) < 1e-6, axis=-1)
            # A polynomial has more roots beyond where it folds the plane over: none is a ray.
            solved &= (determinant > 0) & (np.sum(uv * target, axis=-1) >= 0)
        return np.where(solved[..., None], uv, np.nan)
