"""Niantic's SPZ, version 2: fixed-point attributes, one after another, in a gzip stream.

The layout is that of github.com/nianticlabs/spz (README.md, src/cc/load-spz.cc): a header of 16
bytes, then for all Gaussians positions (24 bits), opacities, colours, logarithms of the scales,
rotations (8 bits each), and spherical harmonics in bytes. Version 3 has rotations of 32 bits,
which gained 0.00 dB and are not read everywhere; version 4 differs in the compression. Niantic's
writer rounds harmonics to 5 bits (band 1) and 4 before it compresses: that cost 0.6 to 1.0 dB for
half the size (docs/trainer.md), so all 8 are kept here, which readers cannot tell from theirs.

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
VERSION = 2
USUAL_FRACTIONAL_BITS = 12
"""Those of Niantic's own writer, for coordinates up to 2048."""

MOST_FRACTIONAL_BITS = 20
"""A millionth: under a fortieth of the smallest standard deviation that SPZ can hold, exp(-10)."""

_STEPS_IN_A_DEVIATION = 64
_LARGEST_FIXED = (1 << 23) - 1
_COLOR_SCALE = 0.15
_GZIP_LEVEL = 6  # zlib's default, as Niantic's writer has it


def write_spz(gaussians: Gaussians, path: Path) -> SplatWritten:
    """Write all finite Gaussians to `path`, whole or not at all; all of their bands of SH."""
    return write_splat_file(gaussians, path, _write)


def fractional_bits(means: NDArray[np.float32], scales: NDArray[np.float32]) -> int:
    """Choose how many of the 24 bits of a coordinate are behind the point.

    The usual 12, and up to 20 where Gaussians are small: a step is at most a 64th of their median
    standard deviation, if all of `means` [N, 3] have room then; `scales` [N, 3] are logarithms.
    Fewer than 12 only where 99 in 100 coordinates need it: the few others, far away, are drawn
    nearer, rather than all the scene coarser.
    """
    if not means.size:
        return USUAL_FRACTIONAL_BITS
    reach = np.abs(means).ravel()
    fine = np.ceil(np.log2(_STEPS_IN_A_DEVIATION) - np.median(scales) / np.log(2))
    wanted = int(np.clip(fine, USUAL_FRACTIONAL_BITS, MOST_FRACTIONAL_BITS))
    for_all = _bits_for(float(reach.max()))
    for_most = _bits_for(float(np.quantile(reach, 0.99)))
    return max(min(wanted, for_all), min(USUAL_FRACTIONAL_BITS, for_most))


def _bits_for(reach: float) -> int:
    bits = MOST_FRACTIONAL_BITS
    while bits > 0 and reach * 2**bits > _LARGEST_FIXED:
        bits -= 1
    return bits


def _write(gaussians: Gaussians, file: BinaryIO) -> None:
    means, scales = (
        tensor.detach().cpu().numpy() for tensor in (gaussians.means, gaussians.scales)
    )
    bits = fractional_bits(means, scales)
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
    """Give xyz of the unit quaternions whose w is positive, and so follows from them."""
    quats = torch.nn.functional.normalize(block.quats.double(), dim=1)
    quats = torch.where(quats[:, :1] < 0, -quats, quats)
    return _byte(quats[:, 1:] * 127.5 + 127.5)


def _harmonics(block: Gaussians) -> Bytes:
    return _byte(block.shN.double() * 128 + 128)


def _byte(values: torch.Tensor) -> Bytes:
    rounded: Bytes = values.round().clamp(0, 255).to(torch.uint8).numpy()
    return rounded
