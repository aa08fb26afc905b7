"""Figures, times and sentences as people read them."""

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from splat_operator.api.status import Progress
from splat_operator.decide.progress import reported
from splat_operator.decide.shown import (
    shown_count,
    shown_duration,
    shown_message,
    shown_number,
)
from splat_trainer.contract import ProgressDocument, Stage

from .builders import NOW


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


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.123456, "0.12346"),
        (9999999999.0, "9999999999.00000"),
        (1e10, "1.00000e+10"),
        (-9999999999.0, "-1.00000e+10"),
        (-1.7976931348623157e308, "-1.79769e+308"),
        (float("inf"), None),
        (float("nan"), None),
        (None, None),
    ],
)
def test_a_number_that_is_too_long_is_shown_by_its_power_of_ten(
    value: float | None, shown: str | None
) -> None:
    assert shown_number(value, 5) == shown


@given(st.floats() | st.none(), st.integers(0, 5))
@example(1e10, 5)
@example(1e15, 0)
def test_no_number_breaks_what_is_shown(value: float | None, digits: int) -> None:
    number = shown_number(value, digits)
    count, duration = shown_count(value), shown_duration(value)
    assert number is None or len(number) <= 16
    assert (number is None) == (value is None or not math.isfinite(value))
    assert count is None or 0 <= count < 2**63
    assert duration is None or len(duration) <= 16


@given(st.text())
def test_a_message_is_one_line_that_a_terminal_only_prints(text: str) -> None:
    shown = shown_message(text)
    assert shown.isprintable()
    assert len(shown) <= 1024


numbers = st.none() | st.floats(allow_nan=False, allow_infinity=False)
amounts = st.none() | st.floats(0, allow_infinity=False)
counts = st.integers(0, 10**30)


@given(counts, counts, amounts, amounts, numbers, numbers, st.none() | counts)
@example(1, 2, 1e15, 1e300, 1e10, -1e13, 10**30)
def test_whatever_a_trainer_reports_the_api_server_takes(
    iteration: int,
    iterations: int,
    speed: float | None,
    eta: float | None,
    loss: float | None,
    psnr: float | None,
    gaussians: int | None,
) -> None:
    document = ProgressDocument(
        stage=Stage.TRAINING,
        iteration=iteration,
        iterations=iterations,
        iterations_per_second=speed,
        eta_seconds=eta,
        loss=loss,
        psnr=psnr,
        gaussians=gaussians,
    )
    shown = reported(document, NOW)
    Progress.model_validate(shown)
    assert all(value < 2**63 for value in shown.values() if isinstance(value, int))
