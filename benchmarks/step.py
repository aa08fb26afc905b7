"""What a training step costs, and what of it: by the clock, on the GPU, and kernel by kernel.

    python -m benchmarks.step CAPTURE [--gaussians 165000 1000000] [--steps 200] [--json FILE]

For each count of Gaussians, drawn around the capture's points, the same steps are done with more
and more of what makes them fast: `host` is gsplat's own lists and PyTorch's fused Adam; then one
kernel steps all parameters; then the tiles' lists have a fixed size; then blending is our own, then
projection; then a step is a CUDA graph. The last one is what a training does. `record` is what it
takes to make a recording anew.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from splat_trainer.capture.load import load_scene
from splat_trainer.capture.scene import Scene
from splat_trainer.contract import TrainConfig
from splat_trainer.gaussians.gaussians import Gaussians
from splat_trainer.gaussians.initialize import gaussians_from_points
from splat_trainer.kernels.self_check import checked_kernels
from splat_trainer.optimize.adam import GaussianOptimizer
from splat_trainer.optimize.adam_step import step_all
from splat_trainer.optimize.schedule import Schedule, schedule_for
from splat_trainer.optimize.strategies.default import DefaultStrategy
from splat_trainer.rasterize.fused_blend import Blend, gsplats_blend
from splat_trainer.rasterize.fused_projection import Projection, gsplats_projection
from splat_trainer.rasterize.gsplat_cuda import GsplatRasterizer
from splat_trainer.rasterize.interface import Cameras
from splat_trainer.train.look import Manner, Sight
from splat_trainer.train.looking import Looking
from splat_trainer.train.own_kernels import told
from splat_trainer.train.views import DeviceViews

CUDA = torch.device("cuda")
WAYS = ("host", "+ fused Adam", "+ fixed lists", "+ own blending", "+ own projection", "+ graph")
SHOWN_KERNELS = 16
_PROFILED_STEPS = 20
_WARM_UP = 30


def main() -> None:
    """Measure every count in every way, and print tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("capture", type=Path)
    parser.add_argument("--gaussians", nargs="+", type=int, default=[165_000, 1_000_000])
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    arguments = parser.parse_args()
    config = TrainConfig(preset="reference", device="cuda")
    scene = load_scene(arguments.capture, config)
    views = DeviceViews(scene.train_views, CUDA)
    rows: list[dict[str, Any]] = []
    for count in arguments.gaussians:
        for way in WAYS:
            torch.cuda.empty_cache()
            rows.append(measure(scene, views, schedule_for(config), count, way, arguments.steps))
            print(f"# {json.dumps({**rows[-1], 'kernels': None})}", file=sys.stderr, flush=True)
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}; {told(checked_kernels())}\n")
    print(table(rows))
    for row in rows:
        print(f"\n{row['Gaussians']:,} {row['way']}: milliseconds a step\n")
        for name, milliseconds in row["kernels"][:SHOWN_KERNELS]:
            print(f"  {milliseconds:7.3f}  {name[:100]}")
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1) + "\n")


def measure(
    scene: Scene, views: DeviceViews, schedule: Schedule, count: int, way: str, steps: int
) -> dict[str, Any]:
    """One count of Gaussians in one way."""
    rank = WAYS.index(way)
    gaussians = around_points(scene, count)
    optimizer = GaussianOptimizer(gaussians, schedule, scene.scene_scale)
    if rank < WAYS.index("+ fused Adam"):
        optimizer._step_all = step_all
    strategy = DefaultStrategy(schedule, gaussians, scene.scene_scale)
    rasterizer = _rasterizer(rank)
    cameras = [views.camera(index) for index in range(len(views))]
    looking = Looking(rasterizer, schedule, strategy, gaussians, cameras)
    if rank < WAYS.index("+ graph"):
        looking._recorded = None
    done = 0

    def step() -> None:
        nonlocal done
        done += 1
        index = done * 7919 % len(views)
        sight = Sight(views.camera(index), views.pixels(index), views.mask(index))
        manner = Manner(sh_degree=3, observes=True)
        looking(optimizer.gaussians, sight, manner, lasts=lambda: True)
        optimizer.set_rates(1)
        optimizer.step()

    torch.cuda.reset_peak_memory_stats()
    started = time.perf_counter()
    step()
    torch.cuda.synchronize()
    first = time.perf_counter() - started
    for _ in range(_WARM_UP):
        step()
    kernels = profile(step)
    wall = by_the_clock(step, steps)
    return {
        "Gaussians": count,
        "way": way,
        "ms a step": wall,
        "ms of kernels": sum(milliseconds for _, milliseconds in kernels),
        "launches": launches(step),
        "first ms": first * 1e3,
        "record ms": record(looking, step) if looking._recorded else None,
        "peak GB": torch.cuda.max_memory_allocated() / 1e9,
        "replays": looking.replays,
        "kernels": kernels,
    }


def _rasterizer(rank: int) -> GsplatRasterizer:
    if rank < WAYS.index("+ fixed lists"):
        return Roomless()
    if rank < WAYS.index("+ own blending"):
        return GsplatsBlending()
    return GsplatRasterizer() if rank >= WAYS.index("+ own projection") else GsplatsProjection()


class GsplatsProjection(GsplatRasterizer):
    """gsplat's own projection, and colours."""

    def projection(self, device: torch.device) -> Projection:
        """gsplat's."""
        return gsplats_projection


class GsplatsBlending(GsplatsProjection):
    """gsplat's own blending, too, of lists of a fixed size."""

    def blend(self, device: torch.device) -> Blend:
        """gsplat's."""
        return gsplats_blend


class Roomless(GsplatRasterizer):
    """gsplat's own lists, for whose size the host waits."""

    def make_room(self, gaussians: Gaussians, cameras: Sequence[Cameras]) -> None:
        """None."""


def around_points(scene: Scene, count: int) -> Gaussians:
    """As many Gaussians, scattered around the capture's points, the smaller the more there are."""
    points = torch.from_numpy(scene.points).float().to(CUDA)
    rgb = torch.from_numpy(scene.points_rgb).float().to(CUDA) / 255
    first = gaussians_from_points(
        points, rgb, sh_degree=3, opacity=0.3, scale_factor=0.7, largest_scale=0.1
    )
    generator = torch.Generator(CUDA).manual_seed(0)
    chosen = torch.randint(len(points), (count,), generator=generator, device=CUDA)
    rows = first.select(chosen)
    jitter = torch.randn(count, 3, generator=generator, device=CUDA) * rows.scales.exp()
    shrink = float(torch.tensor(count / len(points)).clamp_min(1).log()) / 3
    return rows.replacing(means=rows.means + jitter, scales=rows.scales - shrink)


def by_the_clock(step: Callable[[], None], steps: int) -> float:
    """Milliseconds a step, the best of three series: others may use the machine."""
    series = []
    for _ in range(3):
        torch.cuda.synchronize()
        started = time.perf_counter()
        for _ in range(steps):
            step()
        torch.cuda.synchronize()
        series.append((time.perf_counter() - started) / steps * 1e3)
    return min(series)


def profile(step: Callable[[], None]) -> list[tuple[str, float]]:
    """Milliseconds of each kernel in a step, the longest first."""
    activities = [torch.profiler.ProfilerActivity.CUDA, torch.profiler.ProfilerActivity.CPU]
    with torch.profiler.profile(activities=activities) as profiler:
        for _ in range(_PROFILED_STEPS):
            step()
        torch.cuda.synchronize()
    totals: dict[str, float] = {}
    for event in profiler.events():
        if str(event.device_type).endswith("CUDA"):
            spent = event.time_range.elapsed_us() / 1e3 / _PROFILED_STEPS
            totals[event.name] = totals.get(event.name, 0.0) + spent
    return sorted(totals.items(), key=lambda item: -item[1])


def launches(step: Callable[[], None]) -> float:
    """Calls by which the host makes the GPU do something, a step."""
    activities = [torch.profiler.ProfilerActivity.CUDA, torch.profiler.ProfilerActivity.CPU]
    with torch.profiler.profile(activities=activities) as profiler:
        for _ in range(_PROFILED_STEPS):
            step()
        torch.cuda.synchronize()
    names = ("LaunchKernel", "MemcpyAsync", "MemsetAsync", "GraphLaunch")
    return (
        sum(any(name in event.name for name in names) for event in profiler.events())
        / _PROFILED_STEPS
    )


def record(looking: Looking, step: Callable[[], None]) -> float:
    """Milliseconds of a step that records and replays."""
    recorded = looking._recorded
    assert recorded is not None
    if recorded._recording is not None:  # as if the Gaussians were others
        object.__setattr__(recorded._recording, "key", ())
        recorded._last_key = ()
    step()  # by the host
    torch.cuda.synchronize()
    started = time.perf_counter()
    step()  # recorded and replayed
    torch.cuda.synchronize()
    return (time.perf_counter() - started) * 1e3


def table(rows: list[dict[str, Any]]) -> str:
    """The rows as a Markdown table."""
    shapes = {
        **{"Gaussians": "{:,}", "way": "{}", "ms a step": "{:.2f}", "ms of kernels": "{:.2f}"},
        **{"launches": "{:.0f}", "first ms": "{:.0f}", "record ms": "{:.1f}", "peak GB": "{:.2f}"},
    }
    lines = ["| " + " | ".join(shapes) + " |", "|" + "---|" * len(shapes)]
    for row in rows:
        cells = [
            "-" if row[name] is None else shape.format(row[name]) for name, shape in shapes.items()
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
