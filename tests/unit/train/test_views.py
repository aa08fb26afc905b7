"""Views on the device, and the order in which steps take them."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from splat_trainer.capture.scene import View
from splat_trainer.train.views import DeviceViews, ViewOrder


@given(count=st.integers(1, 40), seed=st.integers(0, 2**32 - 1))
def test_every_epoch_takes_every_view_once(count: int, seed: int) -> None:
    order = ViewOrder(count, seed)
    taken = [order.at(step) for step in range(1, 3 * count + 1)]
    for epoch in range(3):
        assert sorted(taken[epoch * count : (epoch + 1) * count]) == list(range(count))


@given(count=st.integers(2, 40), seed=st.integers(0, 1000), step=st.integers(1, 500))
def test_a_resumed_order_is_the_same(count: int, seed: int, step: int) -> None:
    straight = ViewOrder(count, seed)
    sequence = [straight.at(i) for i in range(1, step + 1)]
    assert ViewOrder(count, seed).at(step) == sequence[-1]


def test_epochs_and_seeds_differ() -> None:
    order = ViewOrder(30, 1)
    first = [order.at(step) for step in range(1, 31)]
    second = [order.at(step) for step in range(31, 61)]
    other = [ViewOrder(30, 2).at(step) for step in range(1, 31)]
    assert first != second
    assert first != other


def test_views_come_as_they_are_even_read_only_and_of_many_sizes() -> None:
    generator = np.random.default_rng(0)
    views = []
    for index, (height, width) in enumerate(((4, 6), (5, 3))):
        image = generator.integers(0, 256, (height, width, 3), dtype=np.uint8)
        image.flags.writeable = False
        mask = None if index == 0 else generator.random((height, width)) > 0.5
        camtoworld = np.eye(4)
        camtoworld[:3, 3] = [index, 2, 3]
        views.append(View(f"{index}.png", camtoworld, np.diag([7.0, 8.0, 1.0]), image, mask))
    on_device = DeviceViews(views, torch.device("cpu"))
    assert len(on_device) == 2
    camera = on_device.camera(1)
    assert (camera.width, camera.height) == (3, 5)
    assert camera.centers().tolist() == [[1, 2, 3]]
    assert camera.viewmats.dtype == torch.float32
    assert np.array_equal(on_device.pixels(1).numpy(), views[1].image)
    assert torch.allclose(on_device.image(0) * 255, on_device.pixels(0).float())
    assert on_device.mask(0) is None
    shown = on_device.mask(1)
    assert shown is not None
    assert np.array_equal(shown.numpy(), np.asarray(views[1].mask))


def test_a_smaller_picture_is_the_mean_of_its_squares_seen_by_the_same_camera() -> None:
    image = np.random.default_rng(0).integers(0, 256, (67, 98, 3), dtype=np.uint8)
    mask = np.ones((67, 98), dtype=bool)
    mask[3, 5] = False
    intrinsics = np.array([[70.0, 0, 49], [0, 80, 33.5], [0, 0, 1]])
    view = View("a.png", np.eye(4), intrinsics, image, mask)
    small = DeviceViews([view], torch.device("cpu")).shrunk(2)
    camera = small.camera(0)
    assert (camera.width, camera.height) == (49, 33)
    assert small.pixels(0).shape == (33, 49, 3)
    mean = image[6:8, 4:6].reshape(4, 3).mean(0)
    assert np.abs(small.pixels(0)[3, 2].numpy() - mean).max() <= 0.5
    # A point that the large picture shows at (20, 30) is at (10, 15) in the small one.
    ray = np.linalg.inv(intrinsics) @ np.array([20.0, 30, 1])
    assert np.allclose(camera.Ks[0].numpy() @ ray, [10, 15, 1], atol=1e-5)
    shown = small.mask(0)
    assert shown is not None
    assert (~shown).nonzero().tolist() == [[1, 2]]


def test_a_small_picture_is_not_made_too_small() -> None:
    views = [
        View("a.png", np.eye(4), np.eye(3), np.zeros((height, 200, 3), dtype=np.uint8))
        for height in (20, 40, 300)
    ]
    small = DeviceViews(views, torch.device("cpu")).shrunk(4)
    assert [small.camera(i).height for i in range(3)] == [20, 20, 75]
