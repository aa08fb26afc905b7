"""Which architectures are taken, and on which GPUs what was compiled for them runs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from splat_trainer.contract import Reason, TrainerError
from splat_trainer.kernels.architectures import parse_architectures, run_on


def test_a_list_as_torch_takes_it_is_sorted_and_each_is_named_once() -> None:
    assert parse_architectures(["9.0+PTX;8.6", "7.5 8.6"]) == ("7.5", "8.6", "9.0+PTX")


@pytest.mark.parametrize("text", ["", "sm_90", "9", "9.0;rm -rf /", "../8.6", "900.0"])
def test_what_is_no_architecture_is_refused(text: str) -> None:
    with pytest.raises(TrainerError, match="architecture") as caught:
        parse_architectures([text])
    assert caught.value.reason is Reason.INVALID_CONFIGURATION


@given(st.text(max_size=30))
def test_any_text_is_read_or_refused_in_one_line(text: str) -> None:
    try:
        parse_architectures([text])
    except TrainerError as error:
        assert "\n" not in error.message


@pytest.mark.parametrize(
    ("architecture", "gpu", "runs"),
    [
        ("8.0", (8, 6), True),  # machine code: the same major version, from its minor on
        ("8.6", (8, 0), False),
        ("8.6", (9, 0), False),
        ("8.6+PTX", (9, 0), True),
        ("9.0+PTX", (8, 6), False),
        ("9.0a", (9, 0), True),
        ("9.0a+PTX", (10, 0), False),
    ],
)
def test_which_gpus_run_it(architecture: str, gpu: tuple[int, int], runs: bool) -> None:
    assert run_on([architecture], gpu) is runs
