"""Blending alone, by gsplat's kernels and by our own, side by side: milliseconds each way.

    python -m benchmarks.blend CAPTURE [--gaussians 165000 700000] [--calls 20] [--repeat 5]

Gaussians are drawn around the capture's points and seen by one of its views, in tiles of 8 and of
16 pixels whatever the image's size; without features, and with the two that strategy budget counts
errors by. Medians over series of calls, on the GPU's own clock.
"""

import argparse
from collections.abc import Callable
from functools import partial
from itertools import product
from pathlib import Path
from statistics import median
from unittest.mock import patch

import torch
from torch import Tensor

from benchmarks.gpu_clock import GpuClock
from benchmarks.step import CUDA, around_points
from splat_trainer.capture.load import load_scene
from splat_trainer.capture.scene import Scene
from splat_trainer.contract import TrainConfig
from splat_trainer.rasterize import tile_lists as lists_of_tiles
from splat_trainer.rasterize.fused_blend import Blend, check_fused, fused_blend, gsplats_blend
from splat_trainer.rasterize.fused_projection import gsplats_projection
from splat_trainer.rasterize.gsplat_cuda import GsplatRasterizer
from splat_trainer.rasterize.interface import Cameras
from splat_trainer.rasterize.seen import Seen
from splat_trainer.rasterize.tile_lists import SMALL_TILE, TILE, tile_lists
from splat_trainer.train.views import DeviceViews

_BLENDS: tuple[Blend, ...] = (gsplats_blend, fused_blend)
_MOST_TILES = 20
"""Room for pairs, for each Gaussian."""


def main() -> None:
    """Measure every count in both sizes of tiles, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("capture", type=Path)
    parser.add_argument("--gaussians", nargs="+", type=int, default=[165_000, 700_000])
    parser.add_argument("--calls", type=int, default=20)
    parser.add_argument("--repeat", type=int, default=5, help="series of so many calls")
    arguments = parser.parse_args()
    GsplatRasterizer()  # which makes the kernels ready
    check_fused(fused_blend, CUDA)
    scene = load_scene(arguments.capture, TrainConfig(preset="reference", device="cuda"))
    views = DeviceViews(scene.train_views, CUDA)
    camera = views.camera(len(views) // 2)
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}\n")
    print("| Gaussians | tile | features | gsplat's forward | ours | gsplat's backward | ours |")
    print("|---|---|---|---|---|---|---|")
    for count, tile, features in product(arguments.gaussians, (SMALL_TILE, TILE), (0, 2)):
        calls = both_ways(scene, camera, count, tile, features)
        told = [by_the_gpu(call, arguments.calls, arguments.repeat) for call in calls]
        cells = " | ".join(f"{milliseconds:.3f}" for milliseconds in told)
        print(f"| {count:,} | {tile} | {features} | {cells} |", flush=True)


def both_ways(
    scene: Scene, camera: Cameras, count: int, tile: int, features: int
) -> list[Callable[[], object]]:
    """Forward by gsplat and by us, then backward by each."""
    with torch.no_grad():
        gaussians = around_points(scene, count)
        seen = gsplats_projection(gaussians, camera, 3)
        with patch.object(lists_of_tiles, "tile_side", lambda width, height: tile):
            lists = tile_lists(
                *(seen.means2d[0], seen.radii[0], seen.depths[0], seen.conics[0], seen.opacities),
                width=camera.width,
                height=camera.height,
                capacity=_MOST_TILES * count,
            )
    trained = (seen.means2d, seen.conics, seen.colors, seen.opacities)
    inputs = [one.detach().requires_grad_() for one in trained]
    zeros = torch.zeros(count, features, device=CUDA, requires_grad=True) if features else None

    def forward(blend: Blend) -> list[Tensor]:
        size = {"width": camera.width, "height": camera.height}
        means2d, conics, colors, opacities = inputs
        drawn = Seen(means2d, conics, colors, opacities, seen.depths, seen.radii)
        blended = blend(drawn, zeros, None, lists, **size)
        return [blended.image, *([] if blended.features is None else [blended.features])]

    def backward(blend: Blend) -> Callable[[], object]:
        images = forward(blend)
        pulls = [torch.randn_like(one) for one in images]
        every = [*inputs, *([] if zeros is None else [zeros])]
        return lambda: torch.autograd.grad(images, every, pulls, retain_graph=True)

    return [*(partial(forward, one) for one in _BLENDS), *(backward(one) for one in _BLENDS)]


def by_the_gpu(call: Callable[[], object], calls: int, repeat: int) -> float:
    """Milliseconds a call, the median over series."""
    call()
    series: list[float] = []
    for _ in range(repeat):
        torch.cuda.synchronize()
        with GpuClock() as clock:
            for _ in range(calls):
                call()
        torch.cuda.synchronize()
        series.append(clock.milliseconds() / calls)
    return median(series)


if __name__ == "__main__":
    main()
