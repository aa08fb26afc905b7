"""The .splat of antimatter15's viewer: 32 bytes a Gaussian, the most important ones first.

The layout is that of github.com/antimatter15/splat (convert.py): position and standard deviations
as float32, then RGBA and the rotation wxyz in a byte each. There is no header and no view-dependent
colour. Viewers draw what has arrived while the rest is still on its way, hence the order.
"""

from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from torch import Tensor

from splat_trainer.gaussians.formats.splat_file import SplatWritten, blocks, write_splat_file
from splat_trainer.gaussians.gaussians import Gaussians
from splat_trainer.gaussians.spherical_harmonics import C0

ROW = np.dtype(
    [("position", "<f4", 3), ("scale", "<f4", 3), ("rgba", "u1", 4), ("rotation", "u1", 4)]
)
_LARGEST_LOG = 88.0  # exp of more is infinite in float32


def write_splat(gaussians: Gaussians, path: Path) -> SplatWritten:
    """Write all finite Gaussians to `path`, whole or not at all; SH of band 0 only."""
    return write_splat_file(gaussians, path, _write)


def by_importance(gaussians: Gaussians) -> Tensor:
    """The order [N] of falling volume times opacity."""
    importance = gaussians.scales.double().sum(1) + torch.nn.functional.logsigmoid(
        gaussians.opacities.double()
    )
    return importance.argsort(descending=True, stable=True)


def _write(gaussians: Gaussians, file: BinaryIO) -> None:
    for block in blocks(gaussians, by_importance(gaussians)):
        rows = np.empty(len(block), ROW)
        rows["position"] = block.means
        rows["scale"] = block.scales.clamp_max(_LARGEST_LOG).exp()
        rows["rgba"][:, :3] = _byte((0.5 + C0 * block.sh0.squeeze(1)) * 255)
        rows["rgba"][:, 3] = _byte(block.opacities.sigmoid() * 255)
        rows["rotation"] = _byte(torch.nn.functional.normalize(block.quats, dim=1) * 128 + 128)
        file.write(rows.tobytes())


def _byte(values: Tensor) -> Tensor:
    return values.round().clamp(0, 255).to(torch.uint8)
