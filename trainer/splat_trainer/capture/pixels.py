"""Decodes an image and its mask, and shrinks them by exact area averages."""

import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from splat_trainer.capture.camera import Camera
from splat_trainer.capture.fault import UndecodableError, invalid, reading
from splat_trainer.contract import TrainerError
from splat_trainer.contract.failure import shown

Image.preinit()

_FORMATS = ("JPEG", "PNG", "BMP", "PPM", "WEBP", "TIFF", "JPEG2000")
"""What photos come in, of all that Pillow knows: some formats it gives to other programs (EPS to
Ghostscript), and a capture is often a stranger's. JPEG includes MPO, of which the first is read.
Pillow loads all that it knows when it comes to one that `preinit` has not loaded: those are last.
"""

_QUARTER_TURNS = (5, 6, 7, 8)
"""Values of EXIF's orientation that swap width and height."""

_DECODING_ERRORS = (
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    OverflowError,
    struct.error,
    IndexError,
)
"""What Pillow's decoders raise on damaged files."""

_ROUNDING = 1.0
"""How far, in pixels, a side may be from its exact size after someone's downscaling."""


@dataclass(frozen=True)
class Photo:
    """`rgb` [H, W, 3] uint8 and `mask` [H, W] bool, true where a pixel counts, or None."""

    rgb: NDArray[np.uint8]
    mask: NDArray[np.bool_] | None


def read_photo(path: Path, mask_path: Path | None, camera: Camera) -> Photo:
    """Decode an image as COLMAP saw it: of the camera's size, or of that size scaled.

    One that cannot be decoded is an `UndecodableError`; what else is wrong, its mask included, is
    another fault.
    """
    with _decoding(path, UndecodableError):
        picture: Image.Image = Image.open(path, formats=_FORMATS)
        if not _fits(picture.size, camera):
            # COLMAP leaves EXIF's orientation alone; where only the turned photo has the
            # camera's shape, whoever ran COLMAP had turned the photos first.
            turned = picture.getexif().get(ExifTags.Base.Orientation) in _QUARTER_TURNS
            if not (turned and _fits(picture.size[::-1], camera)):
                raise invalid(
                    f"{path} is {picture.width}x{picture.height} pixels, and its camera "
                    f"{camera.camera_id} is {camera.width}x{camera.height}: "
                    "use the images that the model was made from"
                )
            picture = ImageOps.exif_transpose(picture)
        _check_depth(picture, path)
        mask = None
        if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
            picture = picture.convert("RGBA")
            mask = np.asarray(picture.getchannel("A")) >= 128
        rgb = np.asarray(picture if picture.mode == "RGB" else picture.convert("RGB"))
    if mask_path is not None:
        drawn = _read_mask(mask_path, rgb.shape[:2])
        mask = drawn if mask is None else mask & drawn
    return Photo(rgb, _unless_full(mask))


def header_size(path: Path) -> tuple[int, int] | None:
    """Give the (width, height) that a file says its image has; None where it says nothing."""
    try:
        with Image.open(path, formats=_FORMATS) as picture:
            return picture.size
    except (Image.DecompressionBombError, *_DECODING_ERRORS):
        return None  # reading it says why


def shrink(photo: Photo, width: int, height: int) -> Photo:
    """Downscale to `width` x `height` by averaging the area of each pixel.

    A pixel counts where all of its area does: none that counts has a hidden color in it.
    """
    rgb = _area(photo.rgb, height, width)
    mask = None
    if photo.mask is not None:
        whole = _all_rows(_all_rows(photo.mask, height).T, width).T
        mask = _unless_full(np.ascontiguousarray(whole))
    return Photo(rgb, mask)


def size_within(width: int, height: int, max_side: int | None) -> tuple[int, int]:
    """Give the (width, height) that the longest side asks for; never larger than it is."""
    longest = max(width, height)
    if max_side is None or longest <= max_side:
        return width, height
    scale = max_side / longest
    return max(1, round(width * scale)), max(1, round(height * scale))


@contextmanager
def _decoding(path: Path, fault: Callable[[str], TrainerError] = invalid) -> Iterator[None]:
    """Turn what Pillow says of a bad file into a `fault` of one line that names it."""
    try:
        yield
    except UnidentifiedImageError as error:
        raise fault(
            f"{path} is no image that can be read: use JPEG or PNG (WebP, TIFF, BMP, PPM and "
            "JPEG 2000 are read, too)"
        ) from error
    except Image.DecompressionBombError as error:
        raise fault(f"{path} is too large an image: {error}") from error
    except OSError as error:
        if error.errno is None:  # Pillow's own
            raise fault(_cut_off(path, error)) from error
        with reading(path):
            raise
    except _DECODING_ERRORS as error:
        raise fault(_cut_off(path, error)) from error


def _cut_off(path: Path, error: Exception) -> str:
    return f"{path} cannot be decoded, it may be cut off: {shown(str(error))}"


def _check_depth(picture: Image.Image, path: Path) -> None:
    if _is_deep(picture):
        raise invalid(f"{path} has more than 8 bits a channel (mode {picture.mode}): convert it")


def _is_deep(picture: Image.Image) -> bool:
    return picture.mode.startswith(("I", "F"))


def _fits(size: tuple[int, int], camera: Camera) -> bool:
    width, height = size
    scale = max(width, height) / max(camera.width, camera.height)
    off = abs(width - camera.width * scale), abs(height - camera.height * scale)
    return max(off) <= _ROUNDING


def _read_mask(path: Path, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Read a mask of `shape` (height, width): what is not black counts.

    One that was cut out rather than drawn has transparent pixels, which then say what does not.
    """
    with _decoding(path):
        picture = Image.open(path, formats=_FORMATS)
        if picture.size != (shape[1], shape[0]):
            raise invalid(
                f"{path} is {picture.width}x{picture.height} pixels, "
                f"and its image {shape[1]}x{shape[0]}"
            )
        if picture.has_transparency_data:
            alpha = np.asarray(picture.convert("RGBA").getchannel("A"))
            if alpha.min() < 255:
                return alpha > 0
        if picture.mode in ("1", "L") or _is_deep(picture):
            return np.asarray(picture).astype(np.bool_)
        return np.asarray(np.asarray(picture.convert("RGB")).any(axis=-1))


def _unless_full(mask: NDArray[np.bool_] | None) -> NDArray[np.bool_] | None:
    return None if mask is None or bool(mask.all()) else mask


def _area(image: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """Average [H, W, C] over the rectangles of a coarser grid, cut pixels by their share."""
    rows = _area_rows(image.reshape(image.shape[0], -1), height)
    rows = rows.reshape(height, image.shape[1], -1).swapaxes(0, 1)
    columns = _area_rows(np.ascontiguousarray(rows).reshape(image.shape[1], -1), width)
    result = columns.reshape(width, height, -1).swapaxes(0, 1)
    return np.ascontiguousarray(np.clip(result + 0.5, 0, 255).astype(np.uint8))


def _area_rows(rows: NDArray[np.generic], count: int) -> NDArray[np.float32]:
    """Average `rows` [N, M] to [count, M], count <= N."""
    if count == len(rows):
        return rows.astype(np.float32)
    edges = np.linspace(0, len(rows), count + 1)
    whole = np.minimum(edges.astype(np.int64), len(rows) - 1)
    share = (edges - whole).astype(np.float32)[:, None]
    at_edges = rows[whole].astype(np.float32) * share
    at_edges[-1] = 0  # the last sum runs to the end already
    sums = np.add.reduceat(rows, whole[:-1], axis=0, dtype=np.float32)
    means = (sums - at_edges[:-1] + at_edges[1:]) * np.float32(count / len(rows))
    return np.asarray(means)


def _all_rows(mask: NDArray[np.bool_], count: int) -> NDArray[np.bool_]:
    """Take `mask` [N, M] to [count, M], count <= N: true where all rows with a share are."""
    at = np.arange(count)
    first, beyond = at * len(mask) // count, -(-(at + 1) * len(mask) // count)
    bounds = np.stack([first, beyond], axis=-1).reshape(-1)[:-1]  # the last runs to the end
    return np.asarray(np.logical_and.reduceat(mask, bounds, axis=0)[::2])
