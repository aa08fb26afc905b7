"""Each kernel of our own against its twin in plain PyTorch, at sizes of real trainings."""

import subprocess
import sys

import pytest
import torch
from torch import Tensor

from splat_trainer.gaussians.gaussians import Gaussians
from splat_trainer.kernels.ensure import ensure_kernels
from splat_trainer.kernels.self_check import agree, checked_kernels
from splat_trainer.optimize import adam_step, gathered, scattered
from splat_trainer.optimize.adam_step import RATES, adam_step_for, step_all
from splat_trainer.optimize.losses import image_loss_for
from splat_trainer.rasterize import tile_pairs, tile_sort
from splat_trainer.rasterize.gsplat_cuda import GsplatRasterizer
from splat_trainer.rasterize.interface import Cameras, Rendering
from splat_trainer.rasterize.tile_lists import key_bits, tile_side
from splat_trainer.rasterize.tile_room import TileRoom, room_for
from splat_trainer.train.own_kernels import check_own_kernels, told
from tests.gpu.test_rasterizers_agree import leaves, on_gpu
from tests.unit.rasterize.scenes import cameras_around, random_gaussians

CUDA = torch.device("cuda")
NAMES = {
    *("fused Adam", "fused Adam of visible rows", "sums of views"),
    *("fused image loss", "tile lists", "sorting"),
    *("projection", "blending", "lists of a fixed size", "CUDA graph of a step"),
}


@pytest.fixture(autouse=True, scope="module")
def gsplats_kernels() -> None:
    """Loaded: our own in CUDA come with them, whichever of these tests is the first."""
    ensure_kernels()


def test_all_of_them_are_in_use_here() -> None:
    for visible_only in (False, True):
        kernels = check_own_kernels(GsplatRasterizer(), CUDA, visible_only=visible_only)
    print(told(kernels))
    assert {kernel.name for kernel in kernels} == NAMES
    assert [kernel.why for kernel in kernels if not kernel.in_use] == []
    assert checked_kernels() == kernels


def test_loading_and_checking_kernels_imports_no_compilers_and_no_algebra() -> None:
    check = (
        "import sys, torch\n"
        "from splat_trainer.rasterize.gsplat_cuda import GsplatRasterizer\n"
        "from splat_trainer.train.own_kernels import check_own_kernels\n"
        "check_own_kernels(GsplatRasterizer(), torch.device('cuda'))\n"
        "slow = ('sympy', 'torch._dynamo', 'torch.utils.cpp_extension', 'setuptools')\n"
        "print([name for name in slow if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", check], check=True, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(("count", "degree"), [(1, 0), (1000, 1), (300_001, 3)])
def test_a_fused_step_of_adam_is_a_plain_one(count: int, degree: int) -> None:
    for visible_only in (False, True):
        fused = adam_step_for(CUDA, visible_only=visible_only)
        assert fused is not step_all
        adam_step.check_fused(fused, "cuda", visible_only=visible_only, count=count, degree=degree)


@pytest.mark.parametrize(("count", "degree"), [(1, 0), (1000, 1), (1024, 2), (300_001, 3)])
@pytest.mark.parametrize("ranks", [1, 2, 5])
def test_a_fused_step_by_what_ranks_have_is_a_plain_one(
    ranks: int, count: int, degree: int
) -> None:
    fused = scattered.scattered_step_for(CUDA)
    assert fused is not None
    scattered.check_fused(fused, "cuda", ranks=ranks, count=count, degree=degree)


@pytest.mark.parametrize("count", [1, 2, 1000, 3_000_001])
def test_our_own_sort_is_pytorchs(count: int) -> None:
    fused = tile_sort.sort_for(CUDA)
    assert fused is not tile_sort.plain_sort
    tile_sort.check_fused(fused, CUDA, count=count)


@pytest.mark.parametrize(("count", "degree"), [(1, 0), (1000, 1), (1024, 2), (300_001, 3)])
def test_fused_sums_of_views_are_plain_ones(count: int, degree: int) -> None:
    fused = gathered.gather_for(CUDA)
    assert fused is not gathered.gather
    for narrow in (False, True):
        gathered.check_fused(fused, "cuda", count=count, degree=degree, narrow=narrow)


def test_many_fused_steps_are_pytorchs_adam() -> None:
    generator = torch.Generator().manual_seed(0)
    count, rates = 5000, [1e-3, 2e-3, 3e-3, 4e-3, 5e-3, 6e-3]
    shapes = [(count, 3), (count, 4), (count, 3), (count,), (count, 16, 3)]
    parts = [torch.randn(shape, generator=generator).to(CUDA) for shape in shapes]
    both = [one.clone() for one in (*parts[:4], parts[4][:, :1], parts[4][:, 1:])]
    adam = torch.optim.Adam(
        [{"params": [one.requires_grad_()], "lr": lr} for one, lr in zip(both, rates, strict=True)],
        eps=1e-15,
    )
    first, second = ([torch.zeros_like(one) for one in parts] for _ in range(2))
    for step in range(1, 51):
        gradients = [torch.randn(shape, generator=generator).to(CUDA) for shape in shapes]
        for one, gradient in zip(
            both, [*gradients[:4], gradients[4][:, :1], gradients[4][:, 1:]], strict=True
        ):
            one.grad = gradient.clone()
        adam.step()
        now = torch.tensor([*rates, 1 - 0.9**step, 1 - 0.999**step, step]).to(CUDA)
        assert len(now) == RATES
        adam_step_for(CUDA)(
            *(parts, gradients, first, second, now), betas=(0.9, 0.999), epsilon=1e-15
        )
    together = torch.cat([both[4], both[5]], dim=1).detach()
    agree(parts, [*(one.detach() for one in both[:4]), together], relative=1e-6)


@pytest.mark.parametrize("count", [1, 257, 200_000])
def test_pairs_of_gaussian_and_tile_are_those_of_plain_pytorch(count: int) -> None:
    for bits in (20, 32):
        fused = tile_pairs.pair_functions_for(CUDA, bits)
        assert fused is not tile_pairs.PLAIN
        tile_pairs.check_fused(fused, "cuda", bits=bits, count=count)


def gradients_of(rendering: Rendering, pull: Tensor, gaussians: object) -> list[Tensor]:
    rendering.colors.backward(pull)  # type: ignore[no-untyped-call]
    return [one.grad for _, one in gaussians if one.grad is not None]  # type: ignore[attr-defined]


def told_apart_by_depth(gaussians: Gaussians, camera: Cameras) -> Gaussians:
    """Those that no rounding of their depths puts into another order, whatever a key's bits.

    Near ties may be drawn in either order, and our keys hold fewer bits of a depth than gsplat's.
    """
    width, height = camera.width, camera.height
    columns, rows = (-(-side // tile_side(width, height)) for side in (width, height))
    shift = tile_pairs.depth_shift(key_bits(columns * rows))
    viewmat = camera.viewmats[0]
    depths, order = (gaussians.means.detach() @ viewmat[2, :3] + viewmat[2, 3]).sort()
    keys = depths.view(torch.int32) >> shift
    apart = order[1:][keys.diff() > 2]
    assert len(apart) > 1000
    return gaussians.detach().select(apart.sort().values)


@pytest.mark.parametrize("absgrad", [False, True])
@pytest.mark.parametrize(("width", "height"), [(800, 533), (150, 101), (16, 16), (1600, 1500)])
def test_lists_of_a_fixed_size_draw_what_gsplats_own_draw(
    width: int, height: int, absgrad: bool
) -> None:
    rasterizer = GsplatRasterizer()
    camera = on_gpu(cameras_around(1, width=width, height=height))
    drawn = told_apart_by_depth(random_gaussians(3000).to("cuda"), camera)
    pull = torch.randn(1, height, width, 3, device=CUDA)
    room = rasterizer.make_room(drawn, [camera])
    assert room is not None
    found = []
    for lists in (room, None):
        gaussians = leaves(drawn)
        rendering = rasterizer(gaussians, camera, sh_degree=3, room=lists, absgrad=absgrad)
        gradients = gradients_of(rendering, pull, gaussians)
        found.append([rendering.colors.detach(), rendering.alphas.detach(), *gradients])
        found[-1].append(rendering.means2d_gradients(absolute=absgrad))
    agree(found[0], found[1], relative=5e-3)
    room.fetch()
    torch.cuda.synchronize()
    assert room.capacity == room_for(room.most)


def test_a_picture_without_room_says_so_and_harms_nothing() -> None:
    rasterizer, room = GsplatRasterizer(), TileRoom(1000, CUDA)
    gaussians = leaves(random_gaussians(20_000).to("cuda"))
    camera = on_gpu(cameras_around(1, width=800, height=533))
    rendering = rasterizer(gaussians, camera, sh_degree=3, room=room)
    assert rendering.complete is not None
    assert rendering.complete.tolist() == [False]
    assert not rendering.visible.any()
    rendering.colors.sum().backward()  # type: ignore[no-untyped-call]
    room.fetch()
    torch.cuda.synchronize()
    assert room.short
    assert room.tight


def test_no_look_waits_for_the_gpu() -> None:
    rasterizer, camera = GsplatRasterizer(), on_gpu(cameras_around(1, width=800, height=533))
    gaussians = leaves(random_gaussians(20_000).to("cuda"))
    room = rasterizer.make_room(gaussians.detach(), [camera])
    target = torch.zeros(533, 800, 3, dtype=torch.uint8, device=CUDA)
    loss = image_loss_for(CUDA)
    for debug in ("default", "error"):  # the first one loads what is loaded lazily
        torch.cuda.set_sync_debug_mode(debug)
        try:
            rendering = rasterizer(gaussians, camera, sh_degree=3, room=room)
            loss(rendering.colors[0], target, ssim_weight=0.2).backward()  # type: ignore[no-untyped-call]
        finally:
            torch.cuda.set_sync_debug_mode("default")
