"""Figures, times and sentences as people read them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from splat_operator.decide.shown import (
    shown_count,
    shown_duration,
    shown_message,
    shown_number,
)


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (None, None),
        (0, "0s"),
        (59.6, "1m0s"),
        (252, "4m12s"),
        (3725, "1h2m"),
        (90_061, "1d1h"),
        (1e12, ">999d"),
        (float("nan"), None),
        (-5, "0s"),
    ],
)
def test_durations_have_their_two_largest_units(seconds: float | None, shown: str | None) -> None:
    assert shown_duration(seconds) == shown


def test_a_count_that_is_larger_than_any_float_is_shown_as_the_largest() -> None:
    assert shown_count(10**400) == 2**63 - 1


@given(st.floats() | st.none())
def test_no_number_breaks_what_is_shown(value: float | None) -> None:
    number, count, duration = shown_number(value, 2), shown_count(value), shown_duration(value)
    assert number is None or len(number) <= 16
    assert count is None or 0 <= count < 2**63
    assert duration is None or len(duration) <= 16


@given(st.text())
def test_a_message_is_one_line_that_a_terminal_only_prints(text: str) -> None:
    shown = shown_message(text)
    assert shown.isprintable()
    assert len(shown) <= 1024
