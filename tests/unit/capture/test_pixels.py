"""Decoding of images and masks, and downscaling by area."""

import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import EpsImagePlugin, Image

from splat_trainer.capture.camera import MODEL_BY_NAME, Camera
from splat_trainer.capture.pixels import (
    Photo,
    header_size,
    read_photo,
    shrink,
    size_within,
)
from splat_trainer.contract import Reason, TrainerError
from tests.unit.capture.real import real

ORIENTATION = 0x0112


def camera(width: int, height: int) -> Camera:
    return Camera(4, MODEL_BY_NAME["PINHOLE"], width, height, 50, 50, width / 2, height / 2)


def noise(height: int, width: int, channels: int = 3) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (height, width, channels), dtype=np.uint8)


def save(
    folder: Path, pixels: NDArray[np.uint8], name: str = "a.png", exif: Image.Exif | None = None
) -> Path:
    path = folder / name
    Image.fromarray(pixels).save(path, exif=exif or Image.Exif())
    return path


def fault(path: Path, mask: Path | None = None, width: int = 8, height: int = 6) -> str:
    with pytest.raises(TrainerError) as caught:
        read_photo(path, mask, camera(width, height))
    assert caught.value.reason is Reason.INVALID_CAPTURE
    assert caught.value.message.isprintable()
    assert str(path.parent) in caught.value.message
    return caught.value.message


def test_pixels_come_as_they_are_stored(tmp_path: Path) -> None:
    pixels = noise(6, 8)
    photo = read_photo(save(tmp_path, pixels), None, camera(8, 6))
    assert np.array_equal(photo.rgb, pixels)
    assert photo.mask is None


@pytest.mark.parametrize("mode", ["L", "P", "1", "CMYK"])
def test_other_modes_become_rgb(mode: str, tmp_path: Path) -> None:
    picture = Image.fromarray(noise(6, 8)).convert(mode)
    suffix = "jpg" if mode == "CMYK" else "png"
    picture.save(tmp_path / f"a.{suffix}")
    assert read_photo(tmp_path / f"a.{suffix}", None, camera(8, 6)).rgb.shape == (6, 8, 3)


def test_alpha_becomes_the_mask(tmp_path: Path) -> None:
    pixels = noise(6, 8, 4)
    pixels[..., 3] = 255
    pixels[:2, :, 3] = 10
    photo = read_photo(save(tmp_path, pixels), None, camera(8, 6))
    assert np.array_equal(photo.rgb, pixels[..., :3])
    assert photo.mask is not None
    assert not photo.mask[:2].any()
    assert photo.mask[2:].all()


def test_an_alpha_that_hides_nothing_is_no_mask(tmp_path: Path) -> None:
    pixels = noise(6, 8, 4)
    pixels[..., 3] = 255
    assert read_photo(save(tmp_path, pixels), None, camera(8, 6)).mask is None


def test_a_drawn_mask_and_alpha_both_hide(tmp_path: Path) -> None:
    pixels = noise(6, 8, 4)
    pixels[..., 3] = 255
    pixels[0, :, 3] = 0
    drawn = np.full((6, 8), 255, np.uint8)
    drawn[:, 0] = 0
    mask = save(tmp_path, drawn, "mask.png")
    photo = read_photo(save(tmp_path, pixels), mask, camera(8, 6))
    assert photo.mask is not None
    assert photo.mask.sum() == 5 * 7


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
def test_a_mask_drawn_in_black_and_white_hides_in_every_mode(mode: str, tmp_path: Path) -> None:
    drawn = np.zeros((6, 8), np.uint8)
    drawn[:, 4:] = 255
    path = tmp_path / "mask.png"
    Image.fromarray(drawn).convert(mode).save(path)  # an alpha that this adds hides nothing
    photo = read_photo(save(tmp_path, noise(6, 8)), path, camera(8, 6))
    assert photo.mask is not None
    assert np.array_equal(photo.mask, drawn > 0)


def test_a_mask_that_was_cut_out_hides_where_it_is_transparent(tmp_path: Path) -> None:
    cut_out = noise(6, 8, 4)
    cut_out[..., 3] = 255
    cut_out[:2, :, 3] = 0
    cut_out[4, :, :3] = 0  # black things count, too
    mask = save(tmp_path, cut_out, "mask.png")
    photo = read_photo(save(tmp_path, noise(6, 8)), mask, camera(8, 6))
    assert photo.mask is not None
    assert np.array_equal(photo.mask, cut_out[..., 3] > 0)


def masked(folder: Path, mask: Path) -> NDArray[np.bool_] | None:
    """What counts of a photo of 8x6 pixels by a mask."""
    return read_photo(save(folder, noise(6, 8)), mask, camera(8, 6)).mask


@pytest.mark.parametrize("mode", ["1", "L", "I;16", "RGB", "P"])
def test_a_mask_whose_file_names_one_color_transparent_hides_there(
    mode: str, tmp_path: Path
) -> None:
    drawn = np.zeros((6, 8), np.uint8)
    drawn[:, 4:] = 255
    picture = Image.fromarray(drawn).convert(mode)
    named: int | bytes | tuple[int, ...] = 255 if mode != "1" else 1
    if mode == "RGB":
        named = (255, 255, 255)
    elif mode == "P":  # a palette has an alpha for each of its colors
        named = bytes(0 if i == picture.getpixel((4, 0)) else 255 for i in range(256))
    path = tmp_path / "mask.png"
    picture.save(path, transparency=named)
    counts = masked(tmp_path, path)
    assert counts is not None
    assert np.array_equal(counts, drawn == 0)


@pytest.mark.parametrize("color", [(0, 0, 1), (0, 0, 3), (1, 0, 0), (0, 1, 0)])
def test_what_is_nearly_black_counts(color: tuple[int, int, int], tmp_path: Path) -> None:
    drawn = np.zeros((6, 8, 3), np.uint8)
    drawn[:, 4:] = color
    counts = masked(tmp_path, save(tmp_path, drawn, "mask.png"))
    assert counts is not None
    assert np.array_equal(counts, drawn.any(axis=-1))


def test_a_mask_of_sixteen_bits_counts_where_any_is_set(tmp_path: Path) -> None:
    drawn = np.zeros((6, 8), np.uint16)
    drawn[:, 4:] = 3
    Image.fromarray(drawn).save(tmp_path / "mask.png")
    counts = masked(tmp_path, tmp_path / "mask.png")
    assert counts is not None
    assert np.array_equal(counts, drawn > 0)


def test_a_mask_of_another_size_is_named(tmp_path: Path) -> None:
    mask = save(tmp_path, np.zeros((3, 4), np.uint8), "mask.png")
    said = fault(save(tmp_path, noise(6, 8)), mask)
    assert "mask.png is 4x3 pixels, and its image 8x6" in said


@pytest.mark.parametrize("size", [(16, 12), (4, 3), (8, 6)])
def test_an_image_of_the_cameras_shape_at_another_scale_is_taken(
    size: tuple[int, int], tmp_path: Path
) -> None:
    path = save(tmp_path, noise(size[1], size[0]))
    assert read_photo(path, None, camera(8, 6)).rgb.shape == (size[1], size[0], 3)


def test_sizes_rounded_by_other_peoples_downscaling_are_taken(tmp_path: Path) -> None:
    # mip-NeRF 360's images_4 of 4946x3286 photos
    path = save(tmp_path, noise(822, 1237))
    assert read_photo(path, None, camera(4946, 3286)).rgb.shape == (822, 1237, 3)


@pytest.mark.parametrize("size", [(6, 8), (8, 8), (100, 6)])
def test_an_image_of_another_shape_than_its_camera_names_both(
    size: tuple[int, int], tmp_path: Path
) -> None:
    said = fault(save(tmp_path, noise(size[1], size[0])))
    assert f"a.png is {size[0]}x{size[1]} pixels, and its camera 4 is 8x6" in said


def test_an_orientation_that_colmap_did_not_see_is_left_alone(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    pixels = noise(60, 80)
    path = save(tmp_path, pixels, exif=exif)
    assert np.array_equal(read_photo(path, None, camera(80, 60)).rgb, pixels)


def test_an_orientation_is_applied_where_only_then_the_camera_fits(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    pixels = noise(60, 80)
    path = save(tmp_path, pixels, exif=exif)
    turned = read_photo(path, None, camera(60, 80)).rgb
    assert np.array_equal(turned, np.rot90(pixels, -1))


def test_an_empty_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"")
    assert "a.png is no image" in fault(tmp_path / "a.png")


def test_text_in_place_of_an_image_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("<html>not found</html>")
    assert "use JPEG or PNG" in fault(tmp_path / "a.png")


@pytest.mark.parametrize("format", ["JPEG", "MPO", "PNG", "WEBP", "TIFF", "BMP", "PPM", "JPEG2000"])
def test_photos_of_the_usual_formats_are_read_whatever_their_name(
    format: str, tmp_path: Path
) -> None:
    path = tmp_path / "a.jpg"
    Image.fromarray(noise(6, 8)).save(path, format, save_all=format == "MPO")
    assert read_photo(path, None, camera(8, 6)).rgb.shape == (6, 8, 3)
    assert header_size(path) == (8, 6)


@pytest.mark.parametrize("format", ["EPS", "GIF", "ICO", "SGI"])
def test_no_other_decoder_is_let_near_a_strangers_file(
    format: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ran(*_: object, **__: object) -> None:
        raise AssertionError("Ghostscript was run")

    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", ran)
    path, sound = tmp_path / "a.png", save(tmp_path, noise(6, 8), "sound.png")
    Image.fromarray(noise(6, 8)).save(path, format)
    assert "a.png is no image that can be read: use JPEG or PNG" in fault(path)
    assert "a.png is no image" in fault(sound, mask=path)
    assert header_size(path) is None


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_a_file_cut_off_is_named(suffix: str, tmp_path: Path) -> None:
    path = save(tmp_path, noise(60, 80), f"a.{suffix}")
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    assert "cannot be decoded" in fault(path, width=80, height=60)


def test_sixteen_bits_a_channel_are_refused_not_cut(tmp_path: Path) -> None:
    Image.fromarray(np.full((6, 8), 40_000, np.uint16)).save(tmp_path / "a.png")
    assert "more than 8 bits" in fault(tmp_path / "a.png")


def test_an_image_that_is_not_decoded_costs_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.new("1", (20_000, 20_000)).save(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        assert "too large" in fault(path, width=20_000, height=20_000)


@given(data=st.binary(max_size=300), head=st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8"]))
@settings(max_examples=100)
def test_any_bytes_are_an_image_or_a_fault(
    data: bytes, head: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "any"
    path.write_bytes(head + data)
    try:
        read_photo(path, None, camera(8, 6))
    except TrainerError as error:
        assert error.message.isprintable()


@given(at=st.integers(0, 5000), patch=st.binary(min_size=1, max_size=8), jpeg=st.booleans())
@settings(max_examples=150)
def test_any_damage_leaves_an_image_or_a_fault(
    at: int, patch: bytes, jpeg: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / ("damaged.jpg" if jpeg else "damaged.png")
    Image.fromarray(noise(24, 32)).save(path)
    data = bytearray(path.read_bytes())
    at %= len(data)
    data[at : at + len(patch)] = patch
    path.write_bytes(data)
    try:
        photo = read_photo(path, None, camera(32, 24))
    except TrainerError as error:
        assert error.message.isprintable()
    else:
        assert photo.rgb.dtype == np.uint8


def plain_area(image: NDArray[np.generic], height: int, width: int) -> NDArray[np.float64]:
    """Average by area the slow way: each source pixel gives its share to each target pixel."""

    def shares(source: int, target: int) -> NDArray[np.float64]:
        edges = np.arange(target + 1) * source / target
        low, high = edges[:-1, None], edges[1:, None]
        pixel = np.arange(source)
        covered = np.clip(np.minimum(high, pixel + 1) - np.maximum(low, pixel), 0, None)
        return np.asarray(covered * target / source)

    rows, columns = shares(image.shape[0], height), shares(image.shape[1], width)
    return np.asarray(np.tensordot(rows, columns @ image.astype(np.float64), 1))


@given(
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    to_height=st.integers(1, 40),
    to_width=st.integers(1, 40),
)
@settings(max_examples=100)
def test_downscaling_averages_areas_exactly(
    height: int, width: int, to_height: int, to_width: int
) -> None:
    to_height, to_width = min(height, to_height), min(width, to_width)
    image = noise(height, width)
    small = shrink(Photo(image, None), to_width, to_height).rgb
    assert small.shape == (to_height, to_width, 3)
    assert np.abs(small - plain_area(image, to_height, to_width)).max() <= 0.51


def test_a_mask_shrinks_to_what_counts_whole() -> None:
    mask = np.ones((8, 8), bool)
    mask[:, :3] = False
    small = shrink(Photo(noise(8, 8), mask), 4, 4).mask
    assert small is not None
    assert np.array_equal(small, np.tile([False, False, True, True], (4, 1)))


def test_one_hidden_pixel_of_very_many_is_enough() -> None:
    mask = np.ones((100, 100), bool)
    mask[70, 20] = False
    small = shrink(Photo(noise(100, 100), mask), 2, 2).mask
    assert small is not None
    assert np.array_equal(small, [[True, True], [False, True]])


@given(
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    to_height=st.integers(1, 40),
    to_width=st.integers(1, 40),
    seed=st.integers(0, 99),
)
@settings(max_examples=100)
def test_a_pixel_counts_where_nothing_of_its_area_is_hidden(
    height: int, width: int, to_height: int, to_width: int, seed: int
) -> None:
    to_height, to_width = min(height, to_height), min(width, to_width)
    mask = np.random.default_rng(seed).random((height, width)) > 0.1
    rgb = noise(height, width)
    small = shrink(Photo(np.where(mask[..., None], rgb, np.uint8(0)), mask), to_width, to_height)
    bright = np.where(mask[..., None], rgb, np.uint8(255))
    other = shrink(Photo(bright, mask), to_width, to_height)
    hidden = plain_area(~mask[..., None], to_height, to_width)[..., 0]
    counts = np.ones((to_height, to_width), bool) if small.mask is None else small.mask
    assert np.array_equal(counts, hidden < 1e-9)
    assert np.array_equal(small.rgb[counts], other.rgb[counts])


def test_a_real_photo_shrinks_without_a_shift() -> None:
    path = real("fern") / "images" / "image000.png"
    photo = read_photo(path, None, camera(504, 378))
    small = shrink(photo, 200, 150).rgb
    assert np.abs(small - plain_area(photo.rgb, 150, 200)).max() <= 0.51


@pytest.mark.parametrize(
    ("size", "max_side", "expected"),
    [
        ((800, 533), None, (800, 533)),
        ((800, 533), 800, (800, 533)),
        ((800, 533), 1600, (800, 533)),
        ((800, 533), 400, (400, 266)),
        ((720, 1280), 320, (180, 320)),
        ((1000, 1), 16, (16, 1)),
    ],
)
def test_the_longest_side_decides_the_size(
    size: tuple[int, int], max_side: int | None, expected: tuple[int, int]
) -> None:
    assert size_within(*size, max_side) == expected
