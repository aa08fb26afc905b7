"""The common frame: what up, centre and size become, and what stays as it was."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from splat_trainer.capture.model import quaternion_from_rotation, rotation_from_quaternion
from splat_trainer.capture.normalize import (
    normalizing_transform,
    scene_scale,
    transform_poses,
)
from splat_trainer.capture.synthetic.make import ring_poses

Array = NDArray[np.float64]


def similarity(seed: int, scale: float) -> Array:
    draw = np.random.default_rng(seed)
    transform = np.eye(4)
    transform[:3, :3] = scale * rotation_from_quaternion(draw.normal(size=4))
    transform[:3, 3] = draw.uniform(-100, 100, 3)
    return transform


def cloud() -> Array:
    return np.random.default_rng(5).normal(size=(200, 3))


def moved(points: Array, transform: Array) -> Array:
    return np.asarray(points @ transform[:3, :3].T + transform[:3, 3])


def test_a_ring_of_cameras_becomes_upright_centred_and_of_size_one() -> None:
    strange = similarity(1, 37.0)
    poses = transform_poses(ring_poses(24, 0), strange)
    normal = transform_poses(poses, normalizing_transform(poses, moved(cloud(), strange)))
    up = -normal[:, :3, 1].mean(axis=0)
    np.testing.assert_allclose(up / np.linalg.norm(up), [0, 0, 1], atol=1e-9)
    centers = normal[:, :3, 3]
    reach = np.linalg.norm(centers - centers.mean(axis=0), axis=1)
    assert reach.max() == pytest.approx(1)
    assert scene_scale(normal) == pytest.approx(1.1)
    # They look at one place: the origin is on all optical axes.
    along = np.sum(centers * normal[:, :3, 2], axis=1, keepdims=True)
    np.testing.assert_allclose(centers - along * normal[:, :3, 2], 0, atol=1e-9)


@given(seed=st.integers(0, 2**32 - 1), exponent=st.floats(-4, 4))
@settings(max_examples=50)
def test_size_and_shape_do_not_depend_on_the_captures_own_frame(seed: int, exponent: float) -> None:
    poses = ring_poses(9, 3)
    plain = transform_poses(poses, normalizing_transform(poses, cloud()))
    strange = similarity(seed, 10.0**exponent)
    other_poses = transform_poses(poses, strange)
    other = transform_poses(
        other_poses, normalizing_transform(other_poses, moved(cloud(), strange))
    )

    def distances(cameras: Array) -> Array:
        centers = cameras[:, :3, 3]
        return np.asarray(np.linalg.norm(centers[:, None] - centers[None], axis=-1))

    np.testing.assert_allclose(distances(plain), distances(other), atol=1e-6)
    np.testing.assert_allclose(
        np.linalg.norm(plain[:, :3, 3], axis=1), np.linalg.norm(other[:, :3, 3], axis=1), atol=1e-6
    )


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=50)
def test_what_a_camera_sees_does_not_move_in_its_image(seed: int) -> None:
    poses = transform_poses(ring_poses(5, 0), similarity(seed, 12.0))
    points = np.random.default_rng(seed).normal(size=(50, 3)) * 12
    transform = normalizing_transform(poses, points)
    after = transform_poses(poses, transform)
    for pose, new_pose in zip(poses, after, strict=True):
        np.testing.assert_allclose(new_pose[:3, :3] @ new_pose[:3, :3].T, np.eye(3), atol=1e-9)
        local = (points - pose[:3, 3]) @ pose[:3, :3]
        new_local = (moved(points, transform) - new_pose[:3, 3]) @ new_pose[:3, :3]
        scale = np.cbrt(np.linalg.det(transform[:3, :3]))
        np.testing.assert_allclose(new_local, local * scale, atol=1e-9)


def test_cameras_that_look_one_way_are_centred_on_themselves() -> None:
    poses = np.tile(np.eye(4), (4, 1, 1))
    poses[:, 0, 3] = [0, 1, 2, 3]
    after = transform_poses(poses, normalizing_transform(poses, cloud() + np.array([0, 0, 5])))
    np.testing.assert_allclose(after[:, :3, 3].mean(axis=0), 0, atol=1e-12)


def test_cameras_that_only_turn_are_scaled_by_the_points() -> None:
    poses = np.tile(np.eye(4), (3, 1, 1))
    points = cloud() * 40
    transform = normalizing_transform(poses, points)
    assert np.all(np.isfinite(transform))
    assert np.median(np.linalg.norm(moved(points, transform), axis=1)) == pytest.approx(1)
    assert scene_scale(transform_poses(poses, transform)) == pytest.approx(1.1)


@pytest.mark.parametrize("up", [[0, -1, 0], [0, 1, 0], [0, 0, -1], [0, 0, 1], [1, 0, 0]])
def test_every_up_becomes_z(up: list[float]) -> None:
    down = -np.array(up, float)
    right = np.cross(down, [0.3, 0.5, 0.8])
    right /= np.linalg.norm(right)
    pose = np.eye(4)
    pose[:3, :3] = np.stack([right, down, np.cross(right, down)], axis=1)
    poses = np.stack([pose, pose])
    poses[1, :3, 3] = [1, 2, 3]
    after = transform_poses(poses, normalizing_transform(poses, cloud()))
    np.testing.assert_allclose(-after[0, :3, 1], [0, 0, 1], atol=1e-9)
    assert np.linalg.det(after[0, :3, :3]) == pytest.approx(1)


@given(st.lists(st.floats(-1, 1), min_size=4, max_size=4).filter(lambda q: np.linalg.norm(q) > 0.1))
def test_quaternion_and_rotation_are_each_others_inverse(q: list[float]) -> None:
    rotation = rotation_from_quaternion(np.array(q))
    again = rotation_from_quaternion(quaternion_from_rotation(rotation))
    np.testing.assert_allclose(again, rotation, atol=1e-9)
