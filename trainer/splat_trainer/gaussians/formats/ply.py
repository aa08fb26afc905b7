"""The PLY file of 3D Gaussian Splatting, as graphdeco-inria/gaussian-splatting writes it.

Binary little endian, one `vertex` element, 62 float32 properties: x y z, nx ny nz (zero),
f_dc_0..2, f_rest_0..44 (all of red's, then green's, then blue's coefficients of bands 1 to 3),
opacity (logit), scale_0..2 (logarithms), rot_0..3 (wxyz, of unit length).
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from numpy.typing import NDArray

from splat_trainer.contract import TrainerError
from splat_trainer.contract.result import Reason
from splat_trainer.gaussians.formats.splat_file import SplatWritten, blocks, write_splat_file
from splat_trainer.gaussians.gaussians import Gaussians, sh_rest_count
from splat_trainer.storage.fault import local_fault

_REST = sh_rest_count(3)
PROPERTIES = (
    *("x", "y", "z", "nx", "ny", "nz"),
    *(f"f_dc_{i}" for i in range(3)),
    *(f"f_rest_{i}" for i in range(3 * _REST)),
    "opacity",
    *(f"scale_{i}" for i in range(3)),
    *(f"rot_{i}" for i in range(4)),
)
_HEADER_LIMIT = 16_384
_END_OF_HEADER = re.compile(rb"end_header\r?\n")
"""Some programs end the header's lines as Windows does."""


def write_ply(gaussians: Gaussians, path: Path) -> SplatWritten:
    """Write all finite Gaussians to `path`, whole or not at all; f_rest of degree 3 always."""
    return write_splat_file(gaussians, path, _write)


def _write(gaussians: Gaussians, file: BinaryIO) -> None:
    lines = ["ply", "format binary_little_endian 1.0", f"element vertex {len(gaussians)}"]
    lines += [f"property float {name}" for name in PROPERTIES]
    file.write(("\n".join([*lines, "end_header"]) + "\n").encode("ascii"))
    for rows in _rows(gaussians):
        file.write(rows.data)


def _rows(gaussians: Gaussians) -> Iterator[NDArray[np.float32]]:
    """Blocks of rows [B, 62], little-endian float32."""
    for block in blocks(gaussians):
        rows = np.zeros((len(block), len(PROPERTIES)), dtype="<f4")
        rest = 3 * block.shN.shape[1]
        rows[:, 0:3] = block.means
        rows[:, 6:9] = block.sh0.squeeze(1)
        by_channel = np.zeros((len(block), 3, _REST), dtype=np.float32)
        by_channel[:, :, : rest // 3] = block.shN.transpose(1, 2)
        rows[:, 9 : 9 + 3 * _REST] = by_channel.reshape(len(block), -1)
        rows[:, 54] = block.opacities
        rows[:, 55:58] = block.scales
        rows[:, 58:62] = torch.nn.functional.normalize(block.quats, dim=1)
        yield rows


def read_ply(path: Path) -> Gaussians:
    """Read a 3DGS PLY, its properties in any order; f_rest of degree 0 to 3.

    What is read is checked: the header against the file's size, and every value for NaN.
    """
    try:
        with path.open("rb") as file:
            names, count, offset = _read_header(file.read(_HEADER_LIMIT), path)
            expected = offset + 4 * len(names) * count
            size = path.stat().st_size
            if size < expected:
                raise _refused(
                    path,
                    f"its header announces {count} Gaussians, {expected} bytes, but it "
                    f"has {size}: it was cut, fetch it again",
                )
            file.seek(offset)
            table = np.fromfile(file, dtype="<f4", count=count * len(names))
    except OSError as error:
        raise local_fault(error, "read", path) from error
    return _gaussians_from_table(table.reshape(count, len(names)), names, path)


def _read_header(start: bytes, path: Path) -> tuple[list[str], int, int]:
    """The properties' names, the count of vertices, and where the data begins."""
    end = _END_OF_HEADER.search(start)
    if not start.startswith(b"ply") or end is None:
        raise _refused(path, f"no PLY header in its first {_HEADER_LIMIT} bytes")
    names: list[str] = []
    count = -1
    for line in start[: end.start()].decode("ascii", "replace").splitlines()[1:]:
        match line.split():
            case ["format", kind, *_] if kind != "binary_little_endian":
                raise _refused(path, f"its format is {kind}: save it as binary_little_endian")
            case ["element", "vertex", number] if number.isdecimal() and len(number) < 19:
                count = int(number)
            case ["element", *_]:
                raise _refused(path, f"unexpected {line!r}: a 3DGS file holds vertices only")
            case ["property", "float" | "float32", name]:
                names.append(name)
            case ["property", *_]:
                raise _refused(path, f"unexpected {line!r}: a 3DGS file's values are floats")
    if count < 0:
        raise _refused(path, "its header names no count of vertices")
    return names, count, end.end()


def _gaussians_from_table(table: NDArray[np.float32], names: list[str], path: Path) -> Gaussians:
    columns = {name: index for index, name in enumerate(names)}
    rest = sum(name.startswith("f_rest_") for name in names)
    if rest not in [3 * sh_rest_count(degree) for degree in range(4)]:
        raise _refused(path, f"{rest} properties f_rest_*: 0, 9, 24 or 45 are possible")

    def take(*wanted: str) -> torch.Tensor:
        missing = [name for name in wanted if name not in columns]
        if missing:
            raise _refused(path, f"no property {missing[0]}: is it a 3DGS file?")
        values = table[:, [columns[name] for name in wanted]]
        bad = ~np.isfinite(values)
        if bad.any():
            row, column = np.argwhere(bad)[0]
            raise _refused(path, f"{wanted[column]} of Gaussian {row} is no finite number")
        return torch.from_numpy(values.astype(np.float32))

    shn = take(*(f"f_rest_{i}" for i in range(rest))).view(len(table), 3, rest // 3).transpose(1, 2)
    return Gaussians.from_dict(
        {
            "means": take("x", "y", "z"),
            "quats": take("rot_0", "rot_1", "rot_2", "rot_3"),
            "scales": take("scale_0", "scale_1", "scale_2"),
            "opacities": take("opacity").squeeze(1),
            "sh0": take("f_dc_0", "f_dc_1", "f_dc_2")[:, None, :],
            "shN": shn.contiguous(),
        }
    )


def _refused(path: Path, what: str) -> TrainerError:
    return TrainerError(Reason.INVALID_CAPTURE, f"{path}: {what}")
