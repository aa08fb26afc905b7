"""One plausible camera of each COLMAP model with distortion, and the same one of pycolmap."""

import pycolmap

from splat_trainer.capture.camera import MODEL_BY_NAME, Camera

LENSES: dict[str, tuple[float, ...]] = {
    "SIMPLE_RADIAL": (210.0, 101.0, 74.0, -0.12),
    "RADIAL": (210.0, 101.0, 74.0, -0.2, 0.07),
    "OPENCV": (210.0, 205.0, 101.0, 74.0, -0.15, 0.05, 0.004, -0.006),
    "FULL_OPENCV": (
        *(210.0, 205.0, 101.0, 74.0, -0.15, 0.05, 0.004, -0.006),
        *(0.01, 0.02, -0.01, 0.005),
    ),
    "FOV": (210.0, 205.0, 101.0, 74.0, 0.9),
    "SIMPLE_DIVISION": (210.0, 101.0, 74.0, -0.2),
    "DIVISION": (210.0, 205.0, 101.0, 74.0, 0.1),
    "EUCM": (210.0, 205.0, 101.0, 74.0, 0.6, 1.1),
    "SIMPLE_FISHEYE": (120.0, 101.0, 74.0),
    "FISHEYE": (120.0, 118.0, 101.0, 74.0),
    "SIMPLE_RADIAL_FISHEYE": (120.0, 101.0, 74.0, -0.03),
    "RADIAL_FISHEYE": (120.0, 101.0, 74.0, -0.03, 0.004),
    "OPENCV_FISHEYE": (120.0, 118.0, 101.0, 74.0, -0.03, 0.01, -0.004, 0.001),
    "THIN_PRISM_FISHEYE": (
        *(120.0, 118.0, 101.0, 74.0, -0.03, 0.01, 0.002, -0.003),
        *(-0.004, 0.001, 0.003, -0.002),
    ),
    "RAD_TAN_THIN_PRISM_FISHEYE": (
        *(120.0, 118.0, 101.0, 74.0, 0.03, -0.02, 0.01, -0.004, 0.001, -0.0001),
        *(0.002, -0.003, 0.003, -0.001, 0.002, 0.0004),
    ),
}
WIDTH, HEIGHT = 200, 150


def lens(name: str) -> Camera:
    return Camera.from_params(1, MODEL_BY_NAME[name], WIDTH, HEIGHT, LENSES[name])


def pycolmap_camera(camera: Camera) -> pycolmap.Camera:
    return pycolmap.Camera(
        camera_id=camera.camera_id,
        model=camera.model.name,
        width=camera.width,
        height=camera.height,
        params=list(camera.params),
    )
