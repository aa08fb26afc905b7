"""A handful of held-out views beside their photos, as files and for the report."""

import io
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from splat_trainer.report.preview_files import preview_file

Pixels = NDArray[np.uint8]

PREVIEW_COUNT = 6
_GAP = 8
_EMBEDDED_SIDE = 900


@dataclass(frozen=True)
class Preview:
    """A held-out photo and its render, as JPEG files small enough for a page."""

    name: str
    width: int
    height: int
    photo: bytes
    render: bytes


class PreviewWriter:
    """Takes photo and render of every held-out view; keeps and writes those that were chosen.

    The chosen ones are spread evenly over `names`, first and last included. They are encoded and
    written beside whoever renders the next.
    """

    def __init__(self, folder: Path, names: Sequence[str], count: int = PREVIEW_COUNT) -> None:
        self._folder = folder
        self._files = {name: preview_file(index, name) for index, name in spread(names, count)}
        self._encoder = ThreadPoolExecutor(1, "previews")
        self._previews: dict[str, Future[Preview]] = {}

    def add(self, name: str, photo: Pixels, render: Pixels) -> None:
        """Have `<folder>/<name>.jpg` written, photo left, render right; both [H, W, 3] uint8."""
        if name in self._files:
            self._previews[name] = self._encoder.submit(self._write, name, photo, render)

    def previews(self) -> tuple[Preview, ...]:
        """What was kept, in the order of the names, once all of it is written.

        Raises OSError where the folder cannot be written.
        """
        return tuple(
            self._previews[name].result() for name in self._files if name in self._previews
        )

    def files(self) -> tuple[str, ...]:
        """The names of the files of what was kept."""
        return tuple(self._files[name] for name in self._files if name in self._previews)

    def _write(self, name: str, photo: Pixels, render: Pixels) -> Preview:
        self._folder.mkdir(parents=True, exist_ok=True)
        gap = np.full((photo.shape[0], _GAP, 3), 255, dtype=np.uint8)
        beside = np.concatenate((photo, gap, render), axis=1)
        (self._folder / self._files[name]).write_bytes(_jpeg(Image.fromarray(beside), 92))
        return Preview(
            name=name,
            width=photo.shape[1],
            height=photo.shape[0],
            photo=_embedded(photo),
            render=_embedded(render),
        )


def spread(names: Sequence[str], count: int) -> list[tuple[int, str]]:
    """Choose up to `count` names, evenly over the sequence, with their indices."""
    if len(names) <= count:
        return list(enumerate(names))
    chosen = np.linspace(0, len(names) - 1, count).round().astype(int)
    return [(int(index), names[index]) for index in chosen]


def _embedded(pixels: Pixels) -> bytes:
    image = Image.fromarray(pixels)
    image.thumbnail((_EMBEDDED_SIDE, _EMBEDDED_SIDE), Image.Resampling.BOX)
    return _jpeg(image, 85)


def _jpeg(image: Image.Image, quality: int) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality, subsampling=0)
    return buffer.getvalue()
