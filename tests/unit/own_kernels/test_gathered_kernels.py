"""Sums of views, and of what several GPUs have gathered, are those of plain PyTorch."""

from importlib.util import find_spec

import pytest

from tests.unit.own_kernels.interpreted import run_interpreted

pytestmark = pytest.mark.skipif(find_spec("triton") is None, reason="Triton is not installed")


def test_fused_sums_of_views_are_the_plain_ones_under_tritons_interpreter() -> None:
    run_interpreted("""
from hypothesis import given, settings, strategies as st
from splat_trainer.optimize.gathered import check_fused
from splat_trainer.optimize.gathered_kernel import fused_gather

@settings(max_examples=25, deadline=None)
@given(st.integers(1, 700), st.integers(0, 3), st.booleans())
def agree(count, degree, narrow):
    relative = 1e-2 if narrow else 1e-6  # the interpreter cuts bits off where GPUs round
    check_fused(
        fused_gather, "cpu", count=count, degree=degree, narrow=narrow, relative=relative
    )

agree()
""")


def test_sums_and_steps_by_what_ranks_have_are_plain_ones_under_tritons_interpreter() -> None:
    run_interpreted("""
from hypothesis import given, settings, strategies as st
from splat_trainer.optimize.scattered import check_fused
from splat_trainer.optimize.scattered_kernel import step_scattered

@settings(max_examples=20, deadline=None)
@given(st.integers(1, 500), st.integers(0, 3), st.integers(1, 4))
def agree(count, degree, ranks):
    check_fused(step_scattered, "cpu", ranks=ranks, count=count, degree=degree)

agree()
""")


def test_ranks_go_on_when_all_are_there_under_tritons_interpreter() -> None:
    run_interpreted("""
import torch
from splat_trainer.distributed.meeting_kernel import meet

words = [torch.zeros(3, dtype=torch.int32) for _ in range(3)]
flags = torch.tensor([one.data_ptr() for one in words])
for times in (1, 2):
    words[1][0] = words[1][2] = times  # the others are there
    meet(flags, 1, 3, times)
    assert [one[1].item() for one in words] == [times] * 3
    assert words[0].tolist() == [0, times, 0]
""")
