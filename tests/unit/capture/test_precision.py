"""Captures far from their origin, where 32-bit positions are coarse."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from splat_trainer.capture.load import load_scene
from splat_trainer.capture.precision import check_capture_frame, pixels_apart
from splat_trainer.contract import Reason, TrainConfig, TrainerError
from tests.unit.capture.real import real
from tests.unit.capture.small_model import write_capture_at

UTM = (500_000.0, 4_649_776.0, 120.0)


def test_neighbouring_positions_are_told_in_pixels() -> None:
    points = np.full((5, 3), [0.0, 4_649_776.0, 0.0])
    centers = points[:2] + np.array([0.0, 0.0, 10.0])
    # 32-bit floats at 4.6 million are 0.5 apart; of 10 units away, a pixel sees 10 / 1000.
    assert pixels_apart(points, centers, np.array([1000.0, 1000.0])) == pytest.approx(50)


@given(st.floats(1, 1e8), st.floats(0.01, 100))
def test_a_capture_twice_as_far_is_no_finer(distance: float, depth: float) -> None:
    def apart(distance: float) -> float:
        points = np.full((3, 3), distance)
        return pixels_apart(points, points[:1] + np.array([depth, 0.0, 0.0]), np.array([500.0]))

    assert apart(2 * distance) >= apart(distance) > 0


def test_cameras_in_the_midst_of_all_points_are_no_fault() -> None:
    assert pixels_apart(np.ones((4, 3)), np.ones((2, 3)), np.array([500.0, 500.0])) == 0


def test_a_splat_that_its_file_could_not_hold_is_not_trained(tmp_path: Path) -> None:
    scene = load_scene(write_capture_at(tmp_path, UTM), TrainConfig())
    with pytest.raises(TrainerError, match="set frame to normalized") as caught:
        check_capture_frame(scene)
    assert caught.value.reason is Reason.INVALID_CONFIGURATION


@pytest.mark.parametrize("offset", [(0.0, 0.0, 0.0), (300.0, 2_000.0, 10.0)])
def test_a_capture_near_its_origin_may_be_trained(
    offset: tuple[float, float, float], tmp_path: Path
) -> None:
    check_capture_frame(load_scene(write_capture_at(tmp_path, offset), TrainConfig()))


def test_real_captures_may_be_trained() -> None:
    check_capture_frame(load_scene(real("fern"), TrainConfig(lens="model", max_side=64)))
