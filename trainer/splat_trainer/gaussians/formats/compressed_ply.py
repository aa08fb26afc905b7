"""PlayCanvas's compressed PLY: 16 bytes a Gaussian, and one more for each coefficient of SH.

The layout is that of github.com/playcanvas/splat-transform (write-compressed-ply.ts,
compressed-chunk.ts). Gaussians that are near each other stand together, 256 in a chunk; position,
scale and colour are fractions of their chunk's extent: 11, 10 and 11 bits, and 8 of each colour
and of the opacity. Rotations are the three smallest components, wxyz, in 10 bits each. SH above
band 0 are bytes over -4..4.
"""

from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from splat_trainer.gaussians.formats.splat_file import SplatWritten, blocks, write_splat_file
from splat_trainer.gaussians.gaussians import Gaussians
from splat_trainer.gaussians.morton import morton_order
from splat_trainer.gaussians.spherical_harmonics import C0

Values = NDArray[np.float64]
Words = NDArray[np.uint32]

CHUNK = 256
_BOUNDS = tuple(
    f"{end}_{name}"
    for names in (("x", "y", "z"), ("scale_x", "scale_y", "scale_z"), ("r", "g", "b"))
    for end in ("min", "max")
    for name in names
)
_PACKED = ("packed_position", "packed_rotation", "packed_scale", "packed_color")
_LARGEST_LOG = 20.0
"""Scales are kept within e^-20..e^20, as PlayCanvas keeps them."""


def write_compressed_ply(gaussians: Gaussians, path: Path) -> SplatWritten:
    """Write all finite Gaussians to `path`, whole or not at all; all of their bands of SH."""
    return write_splat_file(gaussians, path, _write)


def _write(gaussians: Gaussians, file: BinaryIO) -> None:
    order = morton_order(gaussians.means)
    packed = [_packed(block) for block in blocks(gaussians, order)]
    file.write(_header(gaussians))
    for bounds, _ in packed:
        file.write(bounds.tobytes())
    for _, words in packed:
        file.write(words.tobytes())
    if gaussians.sh_degree:
        for block in blocks(gaussians, order):
            file.write(_harmonics(block).tobytes())


def _header(gaussians: Gaussians) -> bytes:
    count = len(gaussians)
    lines = ["ply", "format binary_little_endian 1.0"]
    lines += [f"element chunk {-(-count // CHUNK)}", *(f"property float {n}" for n in _BOUNDS)]
    lines += [f"element vertex {count}", *(f"property uint {name}" for name in _PACKED)]
    if gaussians.sh_degree:
        coefficients = 3 * gaussians.shN.shape[1]
        lines += [f"element sh {count}"]
        lines += [f"property uchar f_rest_{i}" for i in range(coefficients)]
    return ("\n".join([*lines, "end_header"]) + "\n").encode("ascii")


def _packed(block: Gaussians) -> tuple[NDArray[np.float32], Words]:
    """Give the bounds [C, 18] of the block's chunks and the words [B, 4] of its Gaussians."""
    position, position_bounds = _within_chunk(block.means)
    scale, scale_bounds = _within_chunk(block.scales.clamp(-_LARGEST_LOG, _LARGEST_LOG))
    color, color_bounds = _within_chunk(block.sh0.squeeze(1) * C0 + 0.5)
    opacity = block.opacities.double().sigmoid().numpy()[:, None]
    words = np.stack(
        [
            _join(position, (11, 10, 11)),
            _rotations(block.quats),
            _join(scale, (11, 10, 11)),
            _join(np.hstack([color, opacity]), (8, 8, 8, 8)),
        ],
        axis=1,
    )
    return np.hstack([position_bounds, scale_bounds, color_bounds]), words.astype("<u4")


def _within_chunk(values: Tensor) -> tuple[Values, NDArray[np.float32]]:
    """Give values [B, 3] as fractions of their chunk's extent, and the extents [C, 6]."""
    table = values.numpy()
    starts = np.arange(0, len(table), CHUNK)
    low = np.minimum.reduceat(table, starts, axis=0)
    high = np.maximum.reduceat(table, starts, axis=0)
    chunk = np.arange(len(table)) // CHUNK
    extent = (high.astype(np.float64) - low)[chunk]
    above = table.astype(np.float64) - low[chunk]
    fractions = np.divide(above, extent, out=np.zeros_like(above), where=extent > 0)
    return fractions, np.hstack([low, high]).astype("<f4")


def _rotations(quats: Tensor) -> Words:
    """Which of wxyz is the largest, in two bits, then the others over -1/√2..1/√2."""
    units = torch.nn.functional.normalize(quats.double(), dim=1).numpy()
    largest = np.abs(units).argmax(1)
    units *= np.where(np.take_along_axis(units, largest[:, None], 1) < 0, -1, 1)
    others = np.array([[j for j in range(4) if j != i] for i in range(4)])[largest]
    small = np.take_along_axis(units, others, 1) * np.sqrt(0.5) + 0.5
    word: Words = _join(small, (10, 10, 10)) | largest.astype(np.uint32) << np.uint32(30)
    return word


def _join(fractions: Values, widths: tuple[int, ...]) -> Words:
    """Join fractions [B, len(widths)] of 0..1, each in so many bits, the first one highest."""
    word = np.zeros(len(fractions), np.uint32)
    for column, bits in enumerate(widths):
        most = (1 << bits) - 1
        field = np.floor(fractions[:, column] * most + 0.5).clip(0, most).astype(np.uint32)
        word = (word << np.uint32(bits)) | field
    return word


def _harmonics(block: Gaussians) -> NDArray[np.uint8]:
    """Bytes [B, 3 K]: all of red's coefficients, then green's, then blue's."""
    by_channel = block.shN.double().transpose(1, 2).flatten(1).numpy()
    return np.trunc((by_channel / 8 + 0.5) * 256).clip(0, 255).astype(np.uint8)
