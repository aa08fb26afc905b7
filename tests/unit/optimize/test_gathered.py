import torch
from hypothesis import given
from hypothesis import strategies as st

from splat_trainer.optimize.gathered import Gathered, floats_for, gather, gradient_shapes


@given(st.integers(1, 90), st.integers(0, 3), st.integers(1, 4), st.integers(0, 99))
def test_looks_add_up_in_memory_that_held_something_else(
    count: int, degree: int, looks: int, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    shapes = gradient_shapes(count, degree)
    memory = torch.full((floats_for(shapes) + 64,), torch.nan)
    gathered = Gathered(memory, shapes)
    sums = [torch.zeros(shape) for shape in shapes]
    times = torch.zeros(count)
    for look in range(looks):
        gradients = [torch.randn(shape, generator=generator) for shape in shapes]
        rows = torch.rand(count, generator=generator) < 0.5
        gather(gathered, gradients, rows, first=look == 0)
        for total, gradient in zip(sums, gradients, strict=True):
            total[rows] += gradient[rows]
        times += rows
    for found, wanted in zip(gathered.gradients, sums, strict=True):
        assert torch.equal(found, wanted)
    assert torch.equal(gathered.times_seen, times)
    assert memory[floats_for(shapes) :].isnan().all()


@given(st.integers(1, 200), st.integers(0, 3))
def test_parts_lie_apart_from_each_other_and_where_16_bytes_are_read_at_once(
    count: int, degree: int
) -> None:
    shapes = gradient_shapes(count, degree)
    gathered = Gathered(torch.zeros(floats_for(shapes)), shapes)
    for number, part in enumerate([*gathered.gradients, gathered.times_seen], start=1):
        part.fill_(number)
    for number, part in enumerate([*gathered.gradients, gathered.times_seen], start=1):
        assert (part == number).all()  # nothing of it is another part's
        assert (part.data_ptr() - gathered.flat.data_ptr()) % 16 == 0
    assert gathered.shapes == shapes
