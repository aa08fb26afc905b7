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
@given(st.integers(1, 700), st.integers(0, 3))
def agree(count, degree):
    check_fused(fused_gather, "cpu", count=count, degree=degree)

agree()
""")


def test_what_ranks_read_of_each_other_is_their_sum_under_tritons_interpreter() -> None:
    run_interpreted("""
import torch
from hypothesis import given, settings, strategies as st
from splat_trainer.distributed.peer_kernels import total_of
from splat_trainer.optimize.gathered import Gathered, floats_for, gather, gradient_shapes

def parts(gathered):
    return [*gathered.gradients, gathered.times_seen]

@settings(max_examples=25, deadline=None)
@given(st.integers(1, 500), st.integers(0, 3), st.integers(1, 4))
def agree(count, degree, ranks):
    shapes = gradient_shapes(count, degree)
    floats = floats_for(shapes)
    everyones = []
    for rank in range(ranks):
        gathered = Gathered(torch.full((floats + 100,), 5.0), shapes)
        for look in range(2):
            gradients = [torch.randn(shape) for shape in shapes]
            gather(gathered, gradients, torch.rand(count) < 0.4, first=look == 0)
        everyones.append(gathered)
    total = Gathered(torch.full((floats,), 7.0), shapes)
    addresses = torch.tensor([one.flat.data_ptr() for one in everyones])
    total_of(addresses, ranks, total)
    for found, *theirs in zip(parts(total), *map(parts, everyones)):
        wanted = theirs[0].clone()
        for one in theirs[1:]:
            wanted += one
        assert torch.equal(found, wanted)

agree()
""")


def test_ranks_go_on_when_all_are_there_under_tritons_interpreter() -> None:
    run_interpreted("""
import torch
from splat_trainer.distributed.peer_kernels import meet

words = [torch.zeros(3, dtype=torch.int32) for _ in range(3)]
flags = torch.tensor([one.data_ptr() for one in words])
for times in (1, 2):
    words[1][0] = words[1][2] = times  # the others are there
    meet(flags, 1, 3, times)
    assert [one[1].item() for one in words] == [times] * 3
    assert words[0].tolist() == [0, times, 0]
""")
