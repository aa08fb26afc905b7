"""Pictures of nearly one size are made one size, by black that does not count.

Photos of cameras that were calibrated one by one are undistorted to sizes that differ by a few
pixels. A step is recorded for one size of picture (`recording.py`), and a recording that the next
view cannot use is worth nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

_MOST = 1.2
"""Times its own pixels: the largest picture that one may become."""

Size = tuple[int, int]


@dataclass
class _Canvas:
    width: int
    height: int
    least: int
    """Pixels of the smallest picture on it."""

    def grown_to(self, width: int, height: int) -> "_Canvas | None":
        """One that holds such a picture, too; None where that would be too large for some."""
        grown = _Canvas(
            max(self.width, width), max(self.height, height), min(self.least, width * height)
        )
        return grown if grown.width * grown.height <= _MOST * grown.least else None


def common_sizes(sizes: Sequence[Size]) -> list[Size]:
    """For each size (width, height) the one to draw it in: no smaller, and few different ones."""
    canvases: list[_Canvas] = []
    place: dict[Size, int] = {}
    for size in sorted(set(sizes), key=lambda one: (-one[0] * one[1], one)):
        for index, canvas in enumerate(canvases):
            grown = canvas.grown_to(*size)
            if grown is not None:
                canvases[index] = grown
                place[size] = index
                break
        else:
            place[size] = len(canvases)
            canvases.append(_Canvas(*size, size[0] * size[1]))
    found = [canvases[place[size]] for size in sizes]
    return [(canvas.width, canvas.height) for canvas in found]


def on_canvas(pixels: Tensor, size: Size) -> Tensor:
    """An image [H, W, 3], or a mask [H, W], with zeros to the right and below up to `size`."""
    width, height = size
    if pixels.shape[:2] == (height, width):
        return pixels
    canvas = pixels.new_zeros(height, width, *pixels.shape[2:])
    canvas[: pixels.shape[0], : pixels.shape[1]] = pixels
    return canvas


def masks_on_canvas(
    masks: Sequence[Tensor | None], sizes: Sequence[Size], canvases: Sequence[Size]
) -> list[Tensor | None]:
    """The masks [H, W] bool of pictures that are put on canvases; None where all of all counts.

    Pictures on canvases of one size have masks all of them, or none has.
    """
    masked = {
        canvas
        for mask, size, canvas in zip(masks, sizes, canvases, strict=True)
        if mask is not None or size != canvas
    }
    found: list[Tensor | None] = []
    for mask, (width, height), canvas in zip(masks, sizes, canvases, strict=True):
        if canvas not in masked:
            found.append(None)
            continue
        whole = torch.ones(height, width, dtype=torch.bool) if mask is None else mask
        found.append(on_canvas(whole, canvas))
    return found
