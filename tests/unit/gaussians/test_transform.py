"""Moving a splat and the cameras by one similarity changes nothing of the picture."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from splat_trainer.gaussians.rotation import matrix_from_quat, quat_from_matrix
from splat_trainer.gaussians.spherical_harmonics import basis, rotation_matrices
from splat_trainer.gaussians.transform import transform
from splat_trainer.rasterize.interface import Cameras
from splat_trainer.rasterize.reference import ReferenceRasterizer
from tests.unit.rasterize.scenes import cameras_around, random_gaussians


def random_rotation(seed: int) -> NDArray[np.float64]:
    matrix, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    return np.asarray(matrix * np.linalg.det(matrix), dtype=np.float64)


def similarity(seed: int, scale: float) -> NDArray[np.float64]:
    moved = np.eye(4)
    moved[:3, :3] = scale * random_rotation(seed)
    moved[:3, 3] = [0.4, -7.0, 2.5]
    return moved


@pytest.mark.parametrize("degree", range(4))
@pytest.mark.parametrize("scale", [0.2, 1.0, 30.0])
def test_the_picture_stays_the_same(degree: int, scale: float) -> None:
    gaussians = random_gaussians(200, seed=degree, degree=degree, dtype=torch.float64).detach()
    cameras = cameras_around(2, width=40, height=30, dtype=torch.float64)
    moved_by = similarity(degree, scale)
    moved = transform(gaussians, moved_by)
    # The camera keeps its rotation in the moved world; its centre moves along.
    camtoworlds = torch.linalg.inv(cameras.viewmats)
    rotation = torch.from_numpy(moved_by[:3, :3] / scale)
    moved_camtoworlds = camtoworlds.clone()
    moved_camtoworlds[:, :3, :3] = rotation @ camtoworlds[:, :3, :3]
    moved_camtoworlds[:, :3, 3] = camtoworlds[:, :3, 3] @ torch.from_numpy(
        moved_by[:3, :3].T.copy()
    ) + torch.from_numpy(moved_by[:3, 3])
    moved_cameras = Cameras(torch.linalg.inv(moved_camtoworlds), cameras.Ks, 40, 30)
    render = ReferenceRasterizer()
    before = render(gaussians, cameras, sh_degree=degree).colors
    after = render(moved, moved_cameras, sh_degree=degree).colors
    assert before.std() > 0.05
    assert torch.allclose(after, before, atol=1e-9)


def test_there_and_back_is_where_it_was() -> None:
    gaussians = random_gaussians(50, seed=1).detach()
    moved_by = similarity(5, 0.3)
    back = transform(transform(gaussians, moved_by), np.linalg.inv(moved_by).astype(np.float64))
    assert torch.allclose(back.means, gaussians.means, atol=1e-5)
    assert torch.allclose(back.scales, gaussians.scales, atol=1e-5)
    assert torch.allclose(back.shN, gaussians.shN, atol=1e-5)
    assert torch.allclose(
        matrix_from_quat(back.quats), matrix_from_quat(gaussians.quats), atol=1e-5
    )


@pytest.mark.parametrize("seed", range(5))
def test_turned_harmonics_have_the_old_values_in_turned_directions(seed: int) -> None:
    rotation = random_rotation(seed)
    generator = torch.Generator().manual_seed(seed)
    directions = torch.randn(20, 3, generator=generator, dtype=torch.float64)
    directions /= directions.norm(dim=1, keepdim=True)
    coefficients = torch.randn(16, generator=generator, dtype=torch.float64)
    turned = torch.cat(
        [
            matrix @ coefficients[degree**2 : (degree + 1) ** 2]
            for degree, matrix in enumerate(rotation_matrices(rotation))
        ]
    )
    before = basis(directions, 3) @ coefficients
    after = basis(directions @ torch.from_numpy(rotation.T.copy()), 3) @ turned
    assert torch.allclose(after, before, atol=1e-10)


@pytest.mark.parametrize("seed", range(5))
def test_a_matrix_and_its_quaternion_are_the_same_rotation(seed: int) -> None:
    rotation = torch.from_numpy(random_rotation(seed))
    assert torch.allclose(matrix_from_quat(quat_from_matrix(rotation)), rotation, atol=1e-12)


def test_half_turns_have_a_quaternion_too() -> None:
    for axis in range(3):
        rotation = -torch.eye(3, dtype=torch.float64)
        rotation[axis, axis] = 1
        assert torch.allclose(matrix_from_quat(quat_from_matrix(rotation)), rotation, atol=1e-12)


@pytest.mark.parametrize(
    "linear", [np.diag([1.0, 1.0, -1.0]), np.diag([1.0, 2.0, 3.0]), np.zeros((3, 3))]
)
def test_what_is_no_similarity_is_refused(linear: NDArray[np.float64]) -> None:
    matrix = np.eye(4)
    matrix[:3, :3] = linear
    with pytest.raises(ValueError, match="not a similarity"):
        transform(random_gaussians(2), matrix)
