import os
import resource
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from splat_trainer.capture.scene import Scene, View
from splat_trainer.capture.shared_scene import SceneFile, read_scene

IMAGE = np.zeros((8, 8, 3), np.uint8)


def memory_taken(descriptor: int) -> int:
    """Of an anonymous file, whose size may be more (stat(2), in blocks of 512 bytes)."""
    return os.fstat(descriptor).st_blocks * 512


@pytest.fixture
def descriptor() -> Iterator[int]:
    descriptor = os.memfd_create("test")
    yield descriptor
    os.close(descriptor)


def scene(views: int, points: int) -> Scene:
    draws = np.random.default_rng(0)

    def view(number: int) -> View:
        image = draws.integers(0, 255, (3 + number, 5, 3), dtype=np.uint8)
        mask = None if number % 2 else image[..., 0] > 100
        return View(f"{number}.jpg", np.eye(4), np.eye(3), image, mask)

    return Scene(
        tuple(view(number) for number in range(views)),
        (view(views),),
        draws.random((points, 3), dtype=np.float32),
        draws.integers(0, 255, (points, 3), dtype=np.uint8),
        np.diag([2.0, 2.0, 2.0, 1.0]),
        1.5,
    )


@pytest.mark.parametrize(("views", "points"), [(0, 0), (1, 7), (4, 1001)])
def test_a_scene_comes_out_as_it_went_in(descriptor: int, views: int, points: int) -> None:
    before = scene(views, points)
    SceneFile(descriptor).write(before)
    after = read_scene(descriptor)
    assert after.scene_scale == before.scene_scale
    for name in ("points", "points_rgb", "normalized_from_capture"):
        one, other = getattr(before, name), getattr(after, name)
        assert one.dtype == other.dtype
        assert np.array_equal(one, other)
    pairs = zip(
        (*before.train_views, *before.test_views),
        (*after.train_views, *after.test_views),
        strict=True,
    )
    for one, other in pairs:
        assert one.name == other.name
        assert np.array_equal(one.image, other.image)
        assert (one.mask is None) == (other.mask is None)
        if one.mask is not None and other.mask is not None:
            assert np.array_equal(one.mask, other.mask)


def test_pixels_that_are_put_there_as_they_are_decoded_are_written_once(descriptor: int) -> None:
    def large(number: int) -> View:
        image = np.full((400, 300, 3), number, np.uint8)[:, ::-1]  # not one after the other
        mask = image[..., 0] > 3 if number % 2 else None
        return View(f"{number}.jpg", np.eye(4), np.eye(3), image, mask)

    file = SceneFile(descriptor)
    before = [large(number) for number in range(8)]
    with ThreadPoolExecutor(4) as pool:
        kept = list(pool.map(file.keep, before))
    written = memory_taken(descriptor)
    assert 8 * 400 * 300 * 3 < written < 8 * 400 * 300 * 4
    file.write(replace(scene(0, 10), train_views=tuple(kept[1:]), test_views=(kept[0],)))
    assert memory_taken(descriptor) < written + 200_000
    assert os.fstat(descriptor).st_size < written + 200_000
    after = read_scene(descriptor)
    for one, other in zip(before, (*after.test_views, *after.train_views), strict=True):
        assert np.array_equal(one.image, other.image)
        assert (one.mask is None) == (other.mask is None)
        if one.mask is not None and other.mask is not None:
            assert np.array_equal(one.mask, other.mask)


def test_a_capture_has_more_photos_than_a_process_may_have_open_files(descriptor: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    file = SceneFile(descriptor)
    views = [View(f"{number}", np.eye(4), np.eye(3), IMAGE + number) for number in range(200)]
    resource.setrlimit(resource.RLIMIT_NOFILE, (descriptor + 50, hard))
    try:
        kept = [file.keep(view) for view in views]
        file.write(replace(scene(0, 10), train_views=tuple(kept)))
        after = read_scene(descriptor)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    for one, other in zip(views, after.train_views, strict=True):
        assert np.array_equal(one.image, other.image)


def test_photos_of_any_size_find_their_place(descriptor: int) -> None:
    file = SceneFile(descriptor, least=1 << 14)
    sides = (5, 400, 3, 90, 91, 600, 2, 2, 70)
    images = [np.full((side, side, 3), side % 256, np.uint8) for side in sides]
    kept = [file.keep(View("", np.eye(4), np.eye(3), image)) for image in images]
    file.write(replace(scene(1, 1_000), test_views=tuple(kept)))
    after = read_scene(descriptor)
    for image, view in zip(images, after.test_views, strict=True):
        assert np.array_equal(image, view.image)
    assert np.array_equal(after.points, scene(1, 1_000).points)


def test_who_writes_to_it_writes_for_himself(descriptor: int) -> None:
    SceneFile(descriptor).write(scene(2, 10))
    mine, yours = read_scene(descriptor), read_scene(descriptor)
    mine.train_views[0].image[:] = 0
    assert np.array_equal(yours.train_views[0].image, scene(2, 10).train_views[0].image)
