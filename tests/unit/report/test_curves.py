import math
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from splat_trainer.report.curves import HEIGHT, WIDTH, Curve, draw, thin, ticks


def curve(points: list[tuple[int, float]], logarithmic: bool = False) -> Curve:
    return Curve("Loss", "dB", points, lambda value: f"{value:.3g}", logarithmic)


def line_of(svg: str) -> list[tuple[float, float]]:
    polyline = next(e for e in ET.fromstring(svg) if e.tag == "polyline")  # noqa: S314 - ours
    pairs = (pair.split(",") for pair in polyline.attrib["points"].split())
    return [(float(x), float(y)) for x, y in pairs]


def test_a_rising_quantity_is_drawn_rising_to_the_right() -> None:
    places = line_of(draw(curve([(1, 1.0), (2, 2.0), (3, 4.0)])))
    xs, ys = zip(*places, strict=True)
    assert list(xs) == sorted(xs)
    assert list(ys) == sorted(ys, reverse=True)


def test_each_point_tells_its_step_and_value() -> None:
    svg = draw(curve([(100, 21.5), (2_000, 29.4)]))
    assert "<title>step 100: 21.5 dB</title>" in svg
    assert "<title>step 2,000: 29.4 dB</title>" in svg


@pytest.mark.parametrize("points", [[], [(5, 1.0)], [(5, 1.0), (5, 2.0)], [(1, math.nan)] * 3])
def test_nothing_is_drawn_of_fewer_than_two_places(points: list[tuple[int, float]]) -> None:
    assert draw(curve(points)) == ""


@given(
    st.lists(
        st.tuples(st.integers(0, 10**6), st.floats(-1e30, 1e30) | st.sampled_from([math.nan])),
        unique_by=lambda point: point[0],
        max_size=600,
    ),
    st.booleans(),
)
def test_any_curve_stays_inside_its_picture(
    points: list[tuple[int, float]], logarithmic: bool
) -> None:
    svg = draw(curve(sorted(points), logarithmic))
    if svg:
        assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in line_of(svg))


def test_thinning_averages_and_keeps_the_last_point() -> None:
    points = [(step, float(step)) for step in range(1, 1_001)]
    thinned = thin(points, 100)
    assert len(thinned) <= 100
    assert thinned[-1] == (1_000, 1_000.0)
    assert thinned[0][1] == pytest.approx(sum(range(1, 12)) / 11)


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6), st.integers(2, 8))
def test_ticks_are_few_and_within(low: float, size: float, about: int) -> None:
    high = low + size
    if not high > low:
        return
    found = ticks(low, high, about)
    slack = size * 1e-6
    assert len(found) <= about + 1
    assert all(low - slack <= tick <= high + slack for tick in found)


def test_ticks_are_round() -> None:
    assert ticks(0, 7_000, 5) == [0, 2_000, 4_000, 6_000]
