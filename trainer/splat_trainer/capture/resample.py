"""Bilinear resampling of 8-bit images, as good as exact (59.41 of 59.44 dB), by whole numbers.

The (up to four) channels of a pixel lie in the four 16-bit lanes of one 64-bit word, so that
numpy weighs all of them by one multiplication. A photo takes some 25 calls of numpy: each gives
Python's lock away and asks for it again, which is what threads beside each other wait for. They
wait for fresh memory as well, which the system clears for one at a time: work is done in place.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_PIXELS_AT_ONCE = 2**19
_ONE = 256
"""The four weights of a pixel add up to this: a lane of 255 * 256 and a half fits in 16 bits."""

_HALF = np.uint64(0x0080_0080_0080_0080)

Places = NDArray[np.floating]


@dataclass(frozen=True)
class SampleMap:
    """Where each pixel of the result looks, for sources of one size.

    `index` [H, W] int32 is the upper left of the four pixels around, counted row by row;
    `weights` [4, H, W] uint16 are those of upper left, upper right, lower left and lower right.
    """

    index: NDArray[np.int32]
    weights: NDArray[np.uint16]

    @classmethod
    def empty(cls, height: int, width: int) -> "SampleMap":
        """Make room for a map, to be filled row by row with `fill`."""
        return cls(np.empty((height, width), np.int32), np.empty((4, height, width), np.uint16))

    def fill(self, rows: slice, x: Places, y: Places, width: int, height: int) -> None:
        """Let `rows` look at the places `x`, `y` [h, W] of a source of `width` x `height`.

        A pixel's centre is at half; beyond the outermost centres an image goes on as it is there.
        """
        left, right = _between(x, max(width, 2))
        upper, down = _between(y, max(height, 2))
        both = right * down
        both += _ONE // 2
        both //= _ONE
        upper *= max(width, 2)
        upper += left
        self.index[rows] = upper
        right -= both
        down -= both
        upper_left, *others = self.weights[:, rows]
        upper_left[:] = _ONE
        for weight, one in zip(others, (right, down, both), strict=True):
            weight[:] = one
            upper_left -= weight


def _between(places: Places, size: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Which two of `size` pixels `places` lie between: the first, and the weight of the second."""
    fixed = places * _ONE
    fixed -= _ONE / 2 - 0.5  # the first centre is at half a pixel; half a step rounds
    np.fmax(fixed, 0.5, out=fixed)  # takes what is no number to there, too
    np.fmin(fixed, (size - 1) * _ONE + 0.5, out=fixed)
    whole = fixed.astype(np.int32)
    first = whole // _ONE
    np.minimum(first, size - 2, out=first)
    whole -= first * _ONE
    return first, whole


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
    for channel in range(channels):
        lanes[..., channel] = image[..., channel]
    words = lanes.view(np.uint64).reshape(-1)
    corners = words, words[1:], words[width:], words[width + 1 :]
    indices, weights = where.index.reshape(-1), where.weights.reshape(4, -1)
    result = np.empty((len(indices), channels), np.uint8)
    at_once = min(len(indices), _PIXELS_AT_ONCE)
    sums, products = np.empty(at_once, np.uint64), np.empty(at_once, np.uint64)
    for start in range(0, len(indices), at_once):
        part = slice(start, start + at_once)
        index = indices[part].astype(np.intp)
        total, weighed = sums[: len(index)], products[: len(index)]
        total[:] = _HALF
        for corner, weight in zip(corners, weights[:, part], strict=True):
            corner.take(index, out=weighed, mode="clip")  # no index is beyond: the quickest mode
            weighed *= weight
            total += weighed
        levels = total.view(np.uint8).reshape(-1, 8)
        for channel in range(channels):
            result[part, channel] = levels[:, 2 * channel + 1]
    return result.reshape(*where.index.shape, channels)
