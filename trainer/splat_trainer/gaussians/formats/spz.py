"""Niantic's SPZ, version 3: fixed-point attributes, one after another, in a gzip stream.

The layout is that of github.com/nianticlabs/spz (README.md, src/cc/load-spz.cc): a header of 16
bytes, then for all Gaussians positions (24 bits), opacities, colours, logarithms of the scales
(8 bits each), rotations (32 bits), and spherical harmonics (5 bits for band 1, 4 for the others,
in bytes).

The axes are those of the PLY. SPZ's README names right, up, back, but its own converter and
everybody else's keep the axes that they find (nianticlabs/spz issue 84), and viewers show a
.spz as they show a .ply: turned to the README's axes it would be upside down beside its PLY.
"""

import gzip
import struct
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from numpy.typing import NDArray

from splat_trainer.gaussians.formats.splat_file import SplatWritten, blocks, write_splat_file
from splat_trainer.gaussians.gaussians import Gaussians

Bytes = NDArray[np.uint8]

MAGIC = 0x5053474E  # "NGSP"
VERSION = 3
MOST_FRACTIONAL_BITS = 20
"""A millionth: under a fortieth of the smallest standard deviation that SPZ can hold, exp(-10)."""

USUAL_FRACTIONAL_BITS = 12
"""Those of Niantic's own writer, for coordinates up to 2048."""

_LARGEST_FIXED = (1 << 23) - 1
_COLOR_SCALE = 0.15
_BAND_1 = 3
"""Coefficients in band 1."""

_GZIP_LEVEL = 6  # zlib's default, as Niantic's writer has it


def write_spz(gaussians: Gaussians, path: Path) -> SplatWritten:
    """Write all finite Gaussians to `path`, whole or not at all; all of their bands of SH."""
    return write_splat_file(gaussians, path, _write)


def fractional_bits(means: NDArray[np.float32]) -> int:
    """Choose how many of the 24 bits of a coordinate are behind the point.

    As many as leave room for every coordinate of `means` [N, 3], at most 20; but where that
    makes fewer than the usual 12, only 99 in 100 must have room: the few others, far away, are
    drawn nearer, rather than all the scene coarser.
    """
    reach = np.abs(means).ravel()
    if not reach.size:
        return USUAL_FRACTIONAL_BITS
    for_most = min(USUAL_FRACTIONAL_BITS, _bits_for(float(np.quantile(reach, 0.99))))
    return max(_bits_for(float(reach.max())), for_most)


def _bits_for(reach: float) -> int:
    bits = MOST_FRACTIONAL_BITS
    while bits > 0 and reach * 2**bits > _LARGEST_FIXED:
        bits -= 1
    return bits


def _write(gaussians: Gaussians, file: BinaryIO) -> None:
    bits = fractional_bits(gaussians.means.detach().cpu().numpy())
    sections: list[Callable[[Gaussians], Bytes]] = [
        lambda block: _fixed_point(block, bits),
        _opacities,
        _colors,
        _scales,
        _rotations,
        _harmonics,
    ]
    # No name and no time in gzip's own header: the same splat gives the same bytes.
    with gzip.GzipFile("", "wb", _GZIP_LEVEL, file, mtime=0) as stream:
        header = (MAGIC, VERSION, len(gaussians), gaussians.sh_degree, bits, 0, 0)
        stream.write(struct.pack("<IIIBBBB", *header))
        for section in sections:
            for block in blocks(gaussians):
                stream.write(section(block).tobytes())


def _fixed_point(block: Gaussians, bits: int) -> Bytes:
    fixed = np.rint(block.means.double().numpy() * 2**bits)
    fixed = fixed.clip(-_LARGEST_FIXED - 1, _LARGEST_FIXED).astype("<i4")
    four: Bytes = fixed[..., None].view(np.uint8)
    return four[..., :3]


def _opacities(block: Gaussians) -> Bytes:
    return _byte(block.opacities.double().sigmoid() * 255)


def _colors(block: Gaussians) -> Bytes:
    return _byte(block.sh0.double() * (_COLOR_SCALE * 255) + 127.5)


def _scales(block: Gaussians) -> Bytes:
    return _byte((block.scales.double() + 10) * 16)


def _rotations(block: Gaussians) -> Bytes:
    """The three smallest components, of xyzw, in ten bits each; the largest is made positive."""
    quats = torch.nn.functional.normalize(block.quats.double(), dim=1).roll(-1, 1).numpy()
    largest = np.abs(quats).argmax(1)
    quats *= np.where(np.take_along_axis(quats, largest[:, None], 1) < 0, -1, 1)
    others = np.array([[j for j in range(4) if j != i] for i in range(4)])[largest]
    small = np.take_along_axis(quats, others, 1)
    magnitude = np.rint(np.abs(small) * np.sqrt(2) * 511).clip(0, 511).astype(np.uint32)
    fields = magnitude | (small < 0).astype(np.uint32) << 9
    packed = largest.astype(np.uint32)
    for column in range(3):
        packed = packed << 10 | fields[:, column]
    four: Bytes = packed.astype("<u4")[:, None].view(np.uint8)
    return four


def _harmonics(block: Gaussians) -> Bytes:
    whole = np.rint(block.shN.double().numpy() * 128) + 128
    bucket = np.where(np.arange(whole.shape[1]) < _BAND_1, 1 << 3, 1 << 4)[None, :, None]
    return _byte(torch.from_numpy((whole + bucket // 2) // bucket * bucket))


def _byte(values: torch.Tensor) -> Bytes:
    rounded: Bytes = values.round().clamp(0, 255).to(torch.uint8).numpy()
    return rounded
