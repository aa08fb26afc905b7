"""Which function writes which format."""

from collections.abc import Callable, Mapping
from pathlib import Path

from splat_trainer.contract import SplatFormat
from splat_trainer.gaussians.formats.compressed_ply import write_compressed_ply
from splat_trainer.gaussians.formats.ply import write_ply
from splat_trainer.gaussians.formats.splat import write_splat
from splat_trainer.gaussians.formats.splat_file import SplatWritten
from splat_trainer.gaussians.formats.spz import write_spz
from splat_trainer.gaussians.gaussians import Gaussians

_WRITERS: Mapping[SplatFormat, Callable[[Gaussians, Path], SplatWritten]] = {
    SplatFormat.PLY: write_ply,
    SplatFormat.COMPRESSED_PLY: write_compressed_ply,
    SplatFormat.SPZ: write_spz,
    SplatFormat.SPLAT: write_splat,
}


def write_gaussians(gaussians: Gaussians, path: Path, format: SplatFormat) -> SplatWritten:
    """Write all finite Gaussians to `path`, whole or not at all, in the frame they are in."""
    return _WRITERS[format](gaussians, path)
