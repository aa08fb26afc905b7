"""Lists of a fixed size hold, tile by tile and nearest first, all that reach a pixel."""

import gc
import weakref
from importlib.util import find_spec
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from splat_trainer.contract import Reason, TrainerError
from splat_trainer.kernels.self_check import DisagreementError
from splat_trainer.rasterize import tile_sort
from splat_trainer.rasterize.interface import ALPHA_THRESHOLD
from splat_trainer.rasterize.projection import Projected, project
from splat_trainer.rasterize.tile_lists import (
    SMALL_TILE,
    TILE,
    TileLists,
    _borders,
    count_pairs,
    key_bits,
    tile_lists,
    tile_side,
)
from splat_trainer.rasterize.tile_pairs import PLAIN, PairFunctions, check_fused
from splat_trainer.rasterize.tile_room import room_for
from tests.unit.own_kernels.interpreted import run_interpreted
from tests.unit.rasterize.scenes import cameras_around, random_gaussians


def projected(seed: int, width: int, height: int, count: int = 120) -> tuple[Projected, Tensor]:
    gaussians = random_gaussians(count, seed=seed).detach()
    one = project(gaussians, cameras_around(1, width=width, height=height), 0)
    hidden = (one.radii == 0).any(1)
    one.means2d[hidden] = torch.nan  # as gsplat, which does not write them
    one.conics[hidden] = torch.nan
    return one, gaussians.opacities.sigmoid()


def lists_of(
    one: Projected, opacities: Tensor, *, capacity: int, width: int, height: int
) -> TileLists:
    return tile_lists(
        *(one.means2d, one.radii, one.depths, one.conics, opacities),
        capacity=capacity,
        width=width,
        height=height,
    )


def pairs_of(one: Projected, width: int, height: int) -> int:
    return int(count_pairs(one.means2d, one.radii, width=width, height=height))


def list_of_tile(lists: TileLists, tile: int) -> Tensor:
    starts = lists.offsets.flatten().tolist()
    return lists.ids[starts[tile] : starts[tile + 1]].long()


def reaches(one: Projected, opacities: Tensor, tile: int, left: int, top: int) -> Tensor:
    """Which Gaussians some pixel centre of a tile sees, by looking at all of them: [N]."""
    along = torch.arange(tile) + 0.5
    ys, xs = torch.meshgrid(top + along, left + along, indexing="ij")
    dx = one.means2d[:, 0, None] - xs.flatten()
    dy = one.means2d[:, 1, None] - ys.flatten()
    a, b, c = one.conics[:, :, None].unbind(1)
    sigma = 0.5 * (a * dx * dx + c * dy * dy) + b * dx * dy
    alpha = opacities[:, None] * torch.exp(-sigma)
    return ((alpha >= ALPHA_THRESHOLD) & (sigma >= 0)).any(1)


@settings(max_examples=25)
@given(st.integers(0, 10_000), st.integers(1, 90), st.integers(1, 70), st.integers(0, 50))
def test_each_tile_lists_all_that_reach_it_and_little_else(
    seed: int, width: int, height: int, room: int
) -> None:
    one, opacities = projected(seed, width, height)
    pairs = pairs_of(one, width, height)
    lists = lists_of(one, opacities, capacity=pairs + room + 1, width=width, height=height)
    assert int(lists.pairs) == pairs
    side = lists.tile
    columns, rows = -(-width // side), -(-height // side)
    assert lists.offsets.shape == lists.mask.shape == (rows + 1, columns)
    assert lists.mask[:rows].all()
    assert not lists.mask[rows].any()
    listed = needed = 0
    for tile in range(columns * rows):
        ids = list_of_tile(lists, tile)
        depths = one.depths[ids]
        assert (depths[1:] >= depths[:-1] * (1 - 2**-12)).all()
        assert len(set(ids.tolist())) == len(ids)
        wanted = reaches(one, opacities, side, tile % columns * side, tile // columns * side)
        wanted &= (one.radii > 0).all(1)
        assert set(torch.where(wanted)[0].tolist()) <= set(ids.tolist())
        listed, needed = listed + len(ids), needed + int(wanted.sum())
    # What reaches a tile between its pixels' centres is listed, too.
    assert listed <= 1.2 * needed + 10


def test_where_room_is_short_it_is_told_and_what_fits_is_listed() -> None:
    one, opacities = projected(3, 90, 70)
    pairs = pairs_of(one, 90, 70)
    whole = lists_of(one, opacities, capacity=pairs, width=90, height=70)
    short = lists_of(one, opacities, capacity=pairs // 2, width=90, height=70)
    assert int(short.pairs) == pairs > len(short.ids)
    for tile in range(12 * 9):
        some, everyone = list_of_tile(short, tile), list_of_tile(whole, tile)
        assert set(some.tolist()) <= set(everyone.tolist())
    assert 0 < int(short.offsets[-1, 0]) < int(whole.offsets[-1, 0])


def test_what_recorded_graphs_read_is_kept_however_many_sizes_there_are() -> None:
    def borders(columns: int) -> list[Tensor]:
        return [*_borders(columns, 3, 20, torch.int32, torch.device("cpu"))]

    first = [weakref.ref(one) for one in borders(5)]
    for columns in range(6, 300):
        borders(columns)
    gc.collect()
    assert all(one() is not None for one in first)


def test_tiles_are_small_while_narrow_keys_can_tell_them_apart() -> None:
    assert tile_side(800, 533) == tile_side(1280, 720) == SMALL_TILE
    assert tile_side(1600, 1063) == tile_side(3840, 2160) == TILE


def test_a_large_image_keeps_all_bits_of_the_depth() -> None:
    assert key_bits(100 * 67) == 19
    assert key_bits((1 << 14) - 1) == 18
    assert key_bits(1 << 14) == 32
    one, opacities = projected(5, 2400, 1800)
    pairs = pairs_of(one, 2400, 1800)
    lists = lists_of(one, opacities, capacity=pairs + 9, width=2400, height=1800)
    assert lists.tile == TILE
    assert lists.mask.numel() > 1 << 14
    for tile in range(0, 150 * 113, 97):
        depths = one.depths[list_of_tile(lists, tile)]
        assert (depths[1:] >= depths[:-1]).all()


def test_nothing_in_sight_lists_nothing() -> None:
    one, opacities = projected(1, 40, 30)
    one.radii[:] = 0
    lists = lists_of(one, opacities, capacity=16, width=40, height=30)
    assert int(lists.pairs) == 0
    assert lists.offsets[:-1].abs().sum() == 0
    assert (lists.ids >= 0).all()
    assert (lists.ids < 120).all()


@pytest.mark.skipif(find_spec("triton") is None, reason="Triton is not installed")
def test_the_kernels_pairs_are_those_of_plain_pytorch_under_tritons_interpreter() -> None:
    run_interpreted("""
from hypothesis import given, settings, strategies as st
from splat_trainer.rasterize import tile_pairs_kernel
from splat_trainer.rasterize.tile_pairs import PairFunctions, check_fused

fused = PairFunctions(tile_pairs_kernel.boxes, tile_pairs_kernel.fill)

@settings(max_examples=6, deadline=None)
@given(st.integers(1, 400))
def agree(count):
    for bits in (20, 26, 32):
        check_fused(fused, "cpu", bits=bits, count=count)

agree()
""")


def spoiled_boxes(*arguments: Any, **options: Any) -> tuple[Tensor, Tensor, Tensor]:
    first, extent, areas = PLAIN.boxes(*arguments, **options)
    return first + 1, extent, areas


def spoiled_fill(*arguments: Any, **options: Any) -> tuple[Tensor, Tensor]:
    keys, owners = PLAIN.fill(*arguments, **options)
    return torch.where(owners % 50 == 7, 0, keys), owners


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (PairFunctions(spoiled_boxes, PLAIN.fill), "boxes' corners"),
        (PairFunctions(PLAIN.boxes, spoiled_fill), "keys are not"),
    ],
)
def test_kernels_that_are_wrong_fail_their_check(wrong: PairFunctions, told: str) -> None:
    check_fused(PLAIN, "cpu")
    with pytest.raises(DisagreementError, match=told):
        check_fused(wrong, "cpu")


def unstable_sort(keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
    turned, order = keys.flip(0).sort(stable=True)
    return turned, values.flip(0)[order]


def unsorted(keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
    return keys, values


@pytest.mark.parametrize("wrong", [unstable_sort, unsorted])
def test_a_sort_that_is_wrong_fails_its_check(wrong: tile_sort.SortPairs) -> None:
    cpu = torch.device("cpu")
    tile_sort.check_fused(tile_sort.plain_sort, cpu)
    with pytest.raises(DisagreementError, match="order"):
        tile_sort.check_fused(wrong, cpu)


def test_more_pairs_than_kernels_can_count_are_refused_with_what_to_do() -> None:
    assert room_for(1_600_000_000) < 2**31
    with pytest.raises(TrainerError, match="lower maxGaussians or maxSide") as refused:
        room_for(1_700_000_000)
    assert refused.value.reason is Reason.OUT_OF_GPU_MEMORY
