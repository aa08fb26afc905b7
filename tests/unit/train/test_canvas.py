"""Pictures of nearly one size become one size, and those of others stay apart."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from splat_trainer.capture.scene import View
from splat_trainer.rasterize.check_scene import check_gaussians
from splat_trainer.rasterize.reference import ReferenceRasterizer
from splat_trainer.train.canvas import common_sizes
from splat_trainer.train.views import DeviceViews

CPU = torch.device("cpu")
SIZES = st.lists(st.tuples(st.integers(1, 3000), st.integers(1, 3000)), min_size=1, max_size=40)


@given(sizes=SIZES)
def test_a_picture_fits_and_is_never_made_much_larger(sizes: list[tuple[int, int]]) -> None:
    canvases = common_sizes(sizes)
    for (width, height), (canvas_width, canvas_height) in zip(sizes, canvases, strict=True):
        assert canvas_width >= width
        assert canvas_height >= height
        assert canvas_width * canvas_height <= 1.2 * width * height
    assert len(set(canvases)) <= len(set(sizes))


@given(sizes=SIZES, seed=st.randoms())
def test_the_order_of_pictures_changes_nothing(sizes: list[tuple[int, int]], seed: object) -> None:
    before = dict(zip(sizes, common_sizes(sizes), strict=True))
    other = sorted(sizes, key=lambda _: seed.random())  # type: ignore[attr-defined]
    assert dict(zip(other, common_sizes(other), strict=True)) == before


def test_photos_undistorted_one_by_one_are_of_one_size() -> None:
    sizes = [(706, 1257), (719, 1250), (691, 1229), (719, 1280)]
    assert set(common_sizes(sizes)) == {(719, 1280)}


def test_upright_and_lying_photos_stay_apart() -> None:
    sizes = [(800, 533), (533, 800), (798, 531), (531, 799)]
    assert common_sizes(sizes) == [(800, 533), (533, 800), (800, 533), (533, 800)]


def views_of(sizes: list[tuple[int, int]], masked: int = -1) -> list[View]:
    generator = np.random.default_rng(0)
    views = []
    for index, (width, height) in enumerate(sizes):
        image = generator.integers(1, 256, (height, width, 3), dtype=np.uint8)
        mask = generator.random((height, width)) > 0.5 if index == masked else None
        intrinsics = np.array([[50.0, 0, width / 2], [0, 50, height / 2], [0, 0, 1]])
        views.append(View(f"{index}.png", np.eye(4), intrinsics, image, mask))
    return views


def test_what_was_added_is_black_and_does_not_count() -> None:
    views = views_of([(60, 50), (58, 49)])
    on_device = DeviceViews(views, CPU)
    camera, pixels, mask = on_device.camera(1), on_device.pixels(1), on_device.mask(1)
    assert (camera.width, camera.height) == (60, 50)
    assert camera.Ks[0].numpy().tolist() == views[1].K.tolist()
    assert np.array_equal(pixels[:49, :58].numpy(), views[1].image)
    assert mask is not None
    assert mask[:49, :58].all()
    assert not pixels[~mask].any()
    assert int(mask.sum()) == 58 * 49
    whole = on_device.mask(0)
    assert whole is not None  # so that both are looked at in one way
    assert whole.all()


def test_pictures_of_one_size_get_no_masks() -> None:
    on_device = DeviceViews(views_of([(60, 50)] * 3 + [(40, 70)]), CPU)
    assert [on_device.mask(index) for index in range(4)] == [None] * 4


def test_where_one_picture_has_a_mask_all_of_its_size_have() -> None:
    views = views_of([(60, 50), (60, 50), (40, 70)], masked=0)
    on_device = DeviceViews(views, CPU)
    masks = [on_device.mask(index) for index in range(3)]
    assert masks[0] is not None
    assert np.array_equal(masks[0].numpy(), np.asarray(views[0].mask))
    assert masks[1] is not None
    assert masks[1].all()
    assert masks[2] is None


def test_the_picture_itself_is_drawn_as_it_was() -> None:
    own = views_of([(58, 49)])
    padded = DeviceViews([*own, *views_of([(60, 50)])], CPU).camera(0)
    alone = DeviceViews(own, CPU).camera(0)
    draw, gaussians = ReferenceRasterizer(), check_gaussians(CPU)
    large = draw(gaussians, padded, sh_degree=0).colors[0]
    small = draw(gaussians, alone, sh_degree=0).colors[0]
    assert small.any()
    # Not to the last bit: beside the picture, a Gaussian's shape is that at the border.
    assert torch.allclose(large[:49, :58], small, atol=1e-3)
