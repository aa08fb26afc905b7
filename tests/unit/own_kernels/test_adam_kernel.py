"""The fused step of Adam is the plain one, at any count of Gaussians and any degree."""

from importlib.util import find_spec

import pytest

from tests.unit.own_kernels.interpreted import run_interpreted

pytestmark = pytest.mark.skipif(find_spec("triton") is None, reason="Triton is not installed")


def test_a_fused_step_is_a_plain_one_under_tritons_interpreter() -> None:
    run_interpreted("""
from hypothesis import given, settings, strategies as st
from splat_trainer.optimize.adam_kernel import fused_step_all
from splat_trainer.optimize.adam_step import check_fused

@settings(max_examples=25, deadline=None)
@given(st.integers(1, 700), st.integers(0, 3))
def agree(count, degree):
    for visible_only in (False, True):
        check_fused(
            fused_step_all, "cpu", visible_only=visible_only, count=count, degree=degree
        )

agree()
""")
