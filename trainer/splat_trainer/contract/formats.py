"""The file formats in which a run can write its splat."""

from enum import StrEnum

from splat_trainer.contract import layout


class SplatFormat(StrEnum):
    """A file format of a splat."""

    PLY = "ply"  # of 3DGS: float32, nothing lost
    COMPRESSED_PLY = "compressed-ply"  # PlayCanvas's
    SPZ = "spz"  # Niantic's
    SPLAT = "splat"  # antimatter15's

    @property
    def file_name(self) -> str:
        """What a run's file of this format is called in its output."""
        return _FILE_NAMES[self]

    @property
    def suffix(self) -> str:
        """How a file's name ends that is of this format."""
        return self.file_name.removeprefix(_STEM)


_STEM = "point_cloud"
_FILE_NAMES = {
    SplatFormat.PLY: layout.POINT_CLOUD,
    SplatFormat.COMPRESSED_PLY: layout.POINT_CLOUD_COMPRESSED,
    SplatFormat.SPZ: layout.POINT_CLOUD_SPZ,
    SplatFormat.SPLAT: layout.POINT_CLOUD_SPLAT,
}
