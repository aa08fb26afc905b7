import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from splat_trainer.optimize.gathered import Gathered, floats_for, gather, gradient_shapes
from splat_trainer.optimize.scattered import Scattered


@given(st.integers(1, 90), st.integers(0, 3), st.integers(1, 4), st.integers(0, 99), st.booleans())
def test_looks_add_up_in_memory_that_held_something_else(
    count: int, degree: int, looks: int, seed: int, narrow: bool
) -> None:
    generator = torch.Generator().manual_seed(seed)
    shapes = gradient_shapes(count, degree)
    memory = torch.full((floats_for(shapes, narrow=narrow) + 64,), torch.nan)
    gathered = Gathered(memory, shapes, narrow=narrow)
    sums = [torch.zeros(shape) for shape in shapes]
    times = torch.zeros(count)
    for look in range(looks):
        gradients = [torch.randn(shape, generator=generator) for shape in shapes]
        rows = torch.rand(count, generator=generator) < 0.5
        gather(gathered, gradients, rows, first=look == 0)
        for total, gradient in zip(sums, gradients, strict=True):
            total[rows] += gradient[rows]
        times += rows
    for found, wanted in zip(gathered.gradients[:-1], sums[:-1], strict=True):
        assert torch.equal(found, wanted)
    # bfloat16 keeps 8 bits of a number, and rounds each sum.
    off = (gathered.gradients[-1] - sums[-1]).abs().max()
    assert off <= (looks * sums[-1].abs().max() * 2**-7 if narrow else 0)
    assert torch.equal(gathered.times_seen, times)
    assert memory[floats_for(shapes, narrow=narrow) :].isnan().all()


@given(st.integers(1, 200), st.integers(0, 3), st.booleans())
def test_parts_lie_apart_from_each_other_and_where_16_bytes_are_read_at_once(
    count: int, degree: int, narrow: bool
) -> None:
    shapes = gradient_shapes(count, degree)
    memory = torch.zeros(floats_for(shapes, narrow=narrow))
    gathered = Gathered(memory, shapes, narrow=narrow)
    for number, part in enumerate(gathered.parts, start=1):
        part.fill_(number)
    for number, part in enumerate(gathered.parts, start=1):
        assert (part == number).all()  # nothing of it is another part's
        assert (part.data_ptr() - gathered.flat.data_ptr()) % 16 == 0
    assert gathered.shapes == shapes


def test_narrow_sums_take_half_the_memory_for_what_is_most_of_it() -> None:
    shapes = gradient_shapes(6_400, 3)
    wide, narrow = (floats_for(shapes, narrow=one) for one in (False, True))
    assert (wide, narrow) == (6_400 * (11 + 48 + 1), 6_400 * (11 + 24 + 1))


def test_sums_that_are_narrow_take_over_those_that_are_not_and_the_other_way_round() -> None:
    shapes = gradient_shapes(5, 1)
    narrow = Gathered(torch.zeros(floats_for(shapes, narrow=True)), shapes, narrow=True)
    wide = Gathered(torch.arange(float(floats_for(shapes))), shapes)
    narrow.take(wide)
    back = Gathered(torch.zeros(floats_for(shapes)), shapes)
    back.take(narrow)
    for found, wanted in zip(back.parts, wide.parts, strict=True):
        assert torch.allclose(found, wanted, rtol=2**-8)
    assert torch.equal(back.times_seen, wide.times_seen)


def test_only_narrow_sums_are_scattered() -> None:
    shapes = gradient_shapes(3, 1)
    wide = Gathered(torch.zeros(floats_for(shapes)), shapes)
    with pytest.raises(ValueError, match="narrow"):
        Scattered(torch.zeros(2, dtype=torch.int64), wide)
