"""Quaternions wxyz and rotation matrices."""

import torch
from torch import Tensor


def matrix_from_quat(quats: Tensor) -> Tensor:
    """Rotation matrices [..., 3, 3] of quaternions [..., 4] wxyz of any length but zero."""
    w, x, y, z = torch.nn.functional.normalize(quats, dim=-1).unbind(-1)
    rows = [
        1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y),
        2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
        2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y),
    ]  # fmt: skip
    return torch.stack(rows, dim=-1).reshape(*quats.shape[:-1], 3, 3)


def quat_from_matrix(rotation: Tensor) -> Tensor:
    """The unit quaternion [4] wxyz, w >= 0, of one rotation matrix [3, 3].

    It is the eigenvector of Bar-Itzhack's symmetric matrix with the largest eigenvalue
    (Bar-Itzhack 2000), which has no case in which it loses precision.
    """
    (xx, xy, xz), (yx, yy, yz), (zx, zy, zz) = rotation.double().tolist()
    symmetric = torch.tensor(
        [
            [xx + yy + zz, zy - yz, xz - zx, yx - xy],
            [zy - yz, xx - yy - zz, yx + xy, zx + xz],
            [xz - zx, yx + xy, yy - xx - zz, zy + yz],
            [yx - xy, zx + xz, zy + yz, zz - xx - yy],
        ],
        dtype=torch.float64,
    )
    quat: Tensor = torch.linalg.eigh(symmetric).eigenvectors[:, -1]
    return quat if quat[0] >= 0 else -quat


def multiply_quats(left: Tensor, right: Tensor) -> Tensor:
    """Hamilton's product of quaternions [..., 4] wxyz: first turn by `right`, then by `left`."""
    lw, lx, ly, lz = left.unbind(-1)
    rw, rx, ry, rz = right.unbind(-1)
    return torch.stack(
        [
            lw * rw - lx * rx - ly * ry - lz * rz,
            lw * rx + lx * rw + ly * rz - lz * ry,
            lw * ry - lx * rz + ly * rw + lz * rx,
            lw * rz + lx * ry - ly * rx + lz * rw,
        ],
        dim=-1,
    )
