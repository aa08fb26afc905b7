import torch
from hypothesis import given
from hypothesis import strategies as st

from splat_trainer.gaussians.morton import morton_order


def interleaved(cell: tuple[int, int, int]) -> int:
    return sum(
        ((cell[axis] >> bit) & 1) << (3 * bit + axis) for bit in range(21) for axis in range(3)
    )


@given(st.lists(st.tuples(*[st.integers(0, 2**21 - 1)] * 3), min_size=1, max_size=40))
def test_points_are_sorted_by_their_coordinates_bits_in_turn(
    cells: list[tuple[int, int, int]],
) -> None:
    most = 2**21 - 1
    cells = [(0, 0, 0), *cells, (most, most, most)]  # the box is the whole of space
    # In the middle of each cell, so that no rounding moves a point to another.
    points = torch.tensor(cells, dtype=torch.float64) + 0.5
    points[0], points[-1] = 0.0, float(most)
    codes = [interleaved(cells[index]) for index in morton_order(points).tolist()]
    assert codes == sorted(map(interleaved, cells))


@given(
    st.lists(st.tuples(*[st.floats(-1e9, 1e9, width=32)] * 3), max_size=40),
    st.integers(0, 2**21 - 1),
)
def test_the_order_along_the_curve_has_every_point_once(
    points: list[tuple[float, float, float]], cell: int
) -> None:
    order = morton_order(torch.tensor(points).reshape(-1, 3))
    assert sorted(order.tolist()) == list(range(len(points)))
    # Along one axis alone the curve goes straight on.
    line = torch.zeros(3, 3)
    line[:, cell % 3] = torch.tensor([float(cell + 2), 0.0, float(cell)])
    assert morton_order(line).tolist() == ([1, 2, 0])


def test_neighbours_in_space_are_neighbours_in_memory() -> None:
    points = torch.rand(4000, 3, generator=torch.Generator().manual_seed(0))
    near = points[morton_order(points)].diff(dim=0).norm(dim=1).mean()
    assert near < 0.2 * points.diff(dim=0).norm(dim=1).mean()


def test_points_of_one_place_or_one_plane_have_an_order() -> None:
    assert morton_order(torch.ones(3, 3)).tolist() == [0, 1, 2]
    flat = torch.tensor([[3.0, 0, 0], [1.0, 0, 0], [2.0, 0, 0]])
    assert morton_order(flat).tolist() == [1, 2, 0]
