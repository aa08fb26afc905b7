"""Bilinear resampling of 8-bit images, exact to half a level, by whole numbers.

The (up to four) channels of a pixel lie in the four 16-bit lanes of one 64-bit word, so that
numpy weighs all of them by one multiplication, and threads run beside each other. As fast as
torch's grid_sample on one thread, without its float copies of the image.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_ROWS_AT_ONCE = 64
_ONE = 256
"""The weight one: a lane of 255 * 256 still fits in 16 bits."""

_EVEN_LANES = np.uint64(0x0000_FFFF_0000_FFFF)
_HALF = np.uint64(0x0000_8000_0000_8000)


@dataclass(frozen=True)
class SampleMap:
    """Where each pixel of the result looks, for sources of one size.

    `index` [H, W] int32 is the upper left of the four pixels around, counted row by row;
    `right` and `down` [H, W] uint16 are the weights, of 256, of its neighbours.
    """

    index: NDArray[np.int32]
    right: NDArray[np.uint16]
    down: NDArray[np.uint16]

    @classmethod
    def empty(cls, height: int, width: int) -> "SampleMap":
        """Make room for a map, to be filled row by row with `fill`."""
        shape = height, width
        return cls(
            np.empty(shape, np.int32), np.empty(shape, np.uint16), np.empty(shape, np.uint16)
        )

    def fill(self, rows: slice, pixels: NDArray[np.float64], width: int, height: int) -> None:
        """Let `rows` look at `pixels` [h, W, 2] of a source of `width` x `height`.

        A pixel's centre is at half; beyond the outermost centres an image goes on as it is there.
        """
        limit = np.array([max(width, 2), max(height, 2)])
        places = np.clip(pixels - 0.5, 0, limit - 1)
        places[np.isnan(places)] = 0
        fixed = (places * _ONE + 0.5).astype(np.int32)
        corner = np.minimum(fixed // _ONE, limit - 2)
        weight = fixed - corner * _ONE
        self.index[rows] = corner[..., 1] * limit[0] + corner[..., 0]
        self.right[rows], self.down[rows] = weight[..., 0], weight[..., 1]


def sample(image: NDArray[np.uint8], where: SampleMap) -> NDArray[np.uint8]:
    """Read `image` [H, W, C], C at most 4, at the places of a map made for its size."""
    channels = image.shape[2]
    if min(image.shape[:2]) < 2:
        image = np.pad(
            image,
            [(0, 2 - min(2, image.shape[0])), (0, 2 - min(2, image.shape[1])), (0, 0)],
            "edge",
        )
    width = image.shape[1]
    lanes = np.zeros((*image.shape[:2], 4), np.uint16)
    lanes[..., :channels] = image
    words = lanes.view(np.uint64).ravel()
    result = np.empty((*where.index.shape, channels), np.uint8)
    for top in range(0, len(result), _ROWS_AT_ONCE):
        rows = slice(top, top + _ROWS_AT_ONCE)
        index = where.index[rows]
        right = where.right[rows].astype(np.uint64)
        down = where.down[rows].astype(np.uint64)
        left, up = _ONE - right, _ONE - down
        upper = words[index] * left + words[index + 1] * right
        lower = words[index + width] * left + words[index + width + 1] * right
        for first in range(min(2, channels)):
            # Two lanes at a time from here: the second weight makes 24 bits of each.
            shift = np.uint64(16 * first)
            above, below = (upper >> shift) & _EVEN_LANES, (lower >> shift) & _EVEN_LANES
            levels = (above * up + below * down + _HALF).view(np.uint8).reshape(*index.shape, 8)
            for channel in range(first, channels, 2):
                result[rows, :, channel] = levels[..., 2 if channel < 2 else 6]
    return result
