"""Bilinear resampling by whole numbers, against the plain formula in floats."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from splat_trainer.capture import resample
from splat_trainer.capture.resample import SampleMap, sample


def mapped(pixels: NDArray[np.float64], width: int, height: int) -> SampleMap:
    where = SampleMap.empty(*pixels.shape[:2])
    where.fill(slice(None), pixels[..., 0], pixels[..., 1], width, height)
    return where


def plain(image: NDArray[np.uint8], pixels: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weigh the four pixels around each place, the image's edge going on for ever."""
    height, width = image.shape[:2]
    x, y = np.moveaxis(np.clip(pixels - 0.5, 0, [width - 1, height - 1]), -1, 0)
    x0, y0 = np.floor(x).astype(int), np.floor(y).astype(int)
    x1, y1 = np.minimum(x0 + 1, width - 1), np.minimum(y0 + 1, height - 1)
    fx, fy = (x - x0)[..., None], (y - y0)[..., None]
    upper = image[y0, x0] * (1 - fx) + image[y0, x1] * fx
    lower = image[y1, x0] * (1 - fx) + image[y1, x1] * fx
    return np.asarray(upper * (1 - fy) + lower * fy)


@given(
    seed=st.integers(0, 2**32 - 1),
    width=st.integers(1, 20),
    height=st.integers(1, 20),
    channels=st.integers(1, 4),
)
@settings(max_examples=100)
def test_every_channel_is_weighed_from_the_four_pixels_around(
    seed: int, width: int, height: int, channels: int
) -> None:
    draw = np.random.default_rng(seed)
    image = draw.integers(0, 256, (height, width, channels), dtype=np.uint8)
    pixels = draw.uniform((-2, -2), (width + 2, height + 2), (70, 9, 2))
    result = sample(image, mapped(pixels, width, height))
    assert result.shape == (70, 9, channels)
    # Places and weights are rounded to 1/256: at most two levels on the steepest corner there is.
    off = result - plain(image, pixels)
    assert np.abs(off).max() <= 2.5
    assert abs(off.mean()) < 0.2


def test_an_image_of_several_parts_is_read_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    draw = np.random.default_rng(0)
    image = draw.integers(0, 256, (30, 40, 3), dtype=np.uint8)
    where = mapped(draw.uniform((0, 0), (40, 30), (25, 35, 2)), 40, 30)
    whole = sample(image, where)
    monkeypatch.setattr(resample, "_PIXELS_AT_ONCE", 100)
    assert np.array_equal(sample(image, where), whole)


@pytest.mark.parametrize("value", [0, 1, 128, 254, 255])
def test_a_plain_field_stays_as_it_is(value: int) -> None:
    image = np.full((9, 11, 3), value, np.uint8)
    pixels = np.random.default_rng(0).uniform((0, 0), (11, 9), (40, 40, 2))
    assert np.all(sample(image, mapped(pixels, 11, 9)) == value)


def test_looking_at_the_centres_gives_the_image_itself() -> None:
    image = np.random.default_rng(0).integers(0, 256, (100, 30, 3), dtype=np.uint8)
    x, y = np.meshgrid(np.arange(30) + 0.5, np.arange(100) + 0.5)
    assert np.array_equal(sample(image, mapped(np.stack([x, y], axis=-1), 30, 100)), image)


def test_a_place_that_is_no_number_reads_somewhere_and_harms_nothing() -> None:
    image = np.full((4, 4, 3), 7, np.uint8)
    pixels = np.array([[[np.nan, 1.0], [np.inf, -np.inf]]])
    assert np.all(sample(image, mapped(pixels, 4, 4)) == 7)
