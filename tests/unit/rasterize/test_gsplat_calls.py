"""What the GPU's rasterizer does around gsplat's kernels, with those in plain PyTorch."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch

from splat_trainer.gaussians.gaussians import NAMES, Gaussians
from splat_trainer.kernels.self_check import DisagreementError
from splat_trainer.rasterize import fused_blend, fused_projection, gsplat_cuda
from splat_trainer.rasterize.gsplat_cuda import GsplatRasterizer
from splat_trainer.rasterize.interface import Cameras, Rendering
from splat_trainer.rasterize.reference import ReferenceRasterizer
from splat_trainer.rasterize.tile_lists import TileLists, tile_lists
from splat_trainer.rasterize.tile_room import MARGIN, TileRoom, room_for
from tests.unit.rasterize import gsplat_in_pytorch
from tests.unit.rasterize.scenes import cameras_around, random_gaussians

CPU = torch.device("cpu")
CAMERAS = cameras_around(1, width=70, height=45)


@pytest.fixture
def rasterizer(monkeypatch: pytest.MonkeyPatch) -> Iterator[GsplatRasterizer]:
    for module in (gsplat_cuda, fused_blend, fused_projection):
        monkeypatch.setattr(module, "gsplat", gsplat_in_pytorch)
    monkeypatch.setattr(gsplat_cuda, "ensure_kernels", lambda: None)
    monkeypatch.setattr("splat_trainer.kernels.self_check._checked", {})
    yield GsplatRasterizer()


def gradients(gaussians: Gaussians, rendering: Rendering) -> list[torch.Tensor]:
    pull = torch.randn(rendering.colors.shape, generator=torch.Generator().manual_seed(0))
    return list(torch.autograd.grad((rendering.colors * pull).sum(), [one for _, one in gaussians]))


@pytest.mark.parametrize("fixed", [False, True])
@pytest.mark.parametrize("features", [False, True])
def test_the_picture_and_its_gradients_are_those_of_the_reference(
    rasterizer: GsplatRasterizer, fixed: bool, features: bool
) -> None:
    gaussians = random_gaussians(150)
    beside = torch.rand(150, 2) if features else None
    background = torch.tensor([0.1, 0.4, 0.2])
    expected = ReferenceRasterizer()(
        gaussians, CAMERAS, sh_degree=2, background=background, features=beside
    )
    found = rasterizer(
        gaussians,
        CAMERAS,
        sh_degree=2,
        background=background,
        features=beside,
        room=TileRoom(5000, CPU) if fixed else None,
    )
    assert (found.colors - expected.colors).abs().max() < 1e-5
    assert (found.alphas - expected.alphas).abs().max() < 1e-5
    assert torch.equal(found.visible, expected.visible)
    if features:
        assert found.features is not None
        assert expected.features is not None
        assert (found.features - expected.features).abs().max() < 1e-5
    assert (found.complete is not None) == fixed
    if found.complete is not None:
        assert found.complete.tolist() == [True]
    pairs = zip(NAMES, gradients(gaussians, found), gradients(gaussians, expected), strict=True)
    for name, one, other in pairs:
        assert (one - other).norm() / other.norm() < 1e-4, name


def test_two_cameras_at_once_have_lists_as_long_as_they_need(rasterizer: GsplatRasterizer) -> None:
    gaussians, cameras = random_gaussians(60).detach(), cameras_around(2, width=40, height=33)
    found = rasterizer(gaussians, cameras, sh_degree=0, room=TileRoom(1, CPU))
    expected = ReferenceRasterizer()(gaussians, cameras, sh_degree=0)
    assert found.complete is None
    assert (found.colors - expected.colors).abs().max() < 1e-5


def test_room_is_made_for_the_view_that_needs_most(rasterizer: GsplatRasterizer) -> None:
    gaussians = random_gaussians(4000).detach()
    near, far = cameras_around(1, width=400, height=300), cameras_around(1, width=64, height=48)
    room = rasterizer.make_room(gaussians, [far, near, far])
    assert room is not None
    rasterizer(gaussians, near, sh_degree=0, room=room)
    room.fetch()
    assert room.capacity == room_for(room.most)
    assert room.most * MARGIN <= room.capacity
    assert not room.short


def test_a_picture_without_room_says_so_and_how_much_it_lacked_and_saw_nobody(
    rasterizer: GsplatRasterizer,
) -> None:
    gaussians = random_gaussians(150).detach()
    room = TileRoom(40, CPU)
    cut = rasterizer(gaussians, CAMERAS, sh_degree=0, room=room)
    assert cut.complete == torch.tensor([False])
    assert not cut.visible.any()
    assert not room.short  # nobody has asked for the number
    room.fetch()
    assert room.short
    room.make(room_for(room.most))
    assert not room.short
    whole = rasterizer(gaussians, CAMERAS, sh_degree=0, room=room)
    assert whole.complete == torch.tensor([True])
    assert whole.visible.any()


def test_lists_that_draw_another_picture_are_not_used(
    rasterizer: GsplatRasterizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    gsplat_cuda._check_fixed_lists(rasterizer, CPU)

    def shuffled(*arguments: torch.Tensor, **options: int) -> TileLists:
        right = tile_lists(*arguments, **options)  # type: ignore[arg-type]
        return replace(right, ids=right.ids.roll(1))

    monkeypatch.setattr(gsplat_cuda, "tile_lists", shuffled)
    with pytest.raises(DisagreementError):
        gsplat_cuda._check_fixed_lists(rasterizer, CPU)


def test_centers_are_where_the_cameras_are() -> None:
    cameras = cameras_around(3, width=10, height=10)
    moved = Cameras(cameras.viewmats, cameras.Ks, 10, 10).centers()
    assert torch.allclose(moved, torch.linalg.inv(cameras.viewmats)[:, :3, 3], atol=1e-6)
