"""A kernel is used only where it was seen to be right; elsewhere its twin is, which a line says."""

import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

from splat_trainer.kernels import self_check
from splat_trainer.kernels.self_check import agree, checked_kernels, use_if_right
from splat_trainer.optimize.adam_step import check_fused, step_all
from splat_trainer.optimize.losses import check_fused as check_loss
from splat_trainer.optimize.losses import image_loss


@pytest.fixture(autouse=True)
def nothing_checked_yet(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(self_check, "_checked", {})
    yield


def one_step_too_far(*arguments: Any, **options: Any) -> None:
    step_all(*arguments, **options)
    arguments[0][4][-1, -1] += 1e-2


def missing() -> Callable[[], None]:
    raise ImportError("no module named triton\nand more")


def test_a_kernel_that_agrees_with_its_twin_is_used() -> None:
    assert use_if_right("step", lambda: step_all, lambda one: check_fused(one, "cpu")) is step_all
    (result,) = checked_kernels()
    assert (result.name, result.in_use, result.why) == ("step", True, "")


def test_a_kernel_that_disagrees_is_not(caplog: pytest.LogCaptureFixture) -> None:
    check = [0]

    def counted(step: Any) -> None:
        check[0] += 1
        check_fused(step, "cpu")

    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            assert use_if_right("step", lambda: one_step_too_far, counted) is None
    assert check == [1]
    (line,) = caplog.messages
    assert "step: not used here (differs from its twin by" in line
    assert not checked_kernels()[0].in_use


def test_a_kernel_that_cannot_even_be_made_is_told_in_one_line(
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert use_if_right("step", missing, lambda _: None) is None
    (line,) = caplog.messages
    assert "no module named triton" in line
    assert "and more" not in line


def test_a_loss_with_a_wrong_gradient_is_not_used() -> None:
    check_loss(image_loss, "cpu")

    def wrong(image: torch.Tensor, target: torch.Tensor, *, ssim_weight: float) -> torch.Tensor:
        right = image_loss(image, target, ssim_weight=ssim_weight)
        return right.detach() + 0.99 * (right - right.detach())

    with pytest.raises(self_check.DisagreementError):
        check_loss(wrong, "cpu")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1.1])
def test_what_is_not_finite_or_off_does_not_agree(value: float) -> None:
    right = torch.ones(5)
    agree([right], [right], relative=1e-6)
    agree([right * 0], [right * 0], relative=1e-6)
    wrong = right.clone()
    wrong[2] = value
    with pytest.raises(self_check.DisagreementError):
        agree([wrong], [right], relative=1e-2)
    with pytest.raises(self_check.DisagreementError, match=r"gives \[4\] where \[5\] is right"):
        agree([right[:4]], [right], relative=1e-2)
