"""What it costs that several GPUs exchange rounded gradients: PSNR of pairs of runs, on one device.

    python -m benchmarks.rounded_gradients CAPTURE... [--seeds 7] [--steps 1200] [--side 96]
    python -m benchmarks.rounded_gradients CAPTURE... --device cuda [--seeds 7] [--within 560]

Each run sums four views before Adam steps, as two and four GPUs do together, by preset `balanced`;
of the two of a pair, which have the same seed, one rounds the sums for the spherical harmonics to
bfloat16 (`Gathered`, narrow), after each of its views, where a rank of several has one or two. Runs
differ by chance from the first rounding on, so it takes many. `--steps` shortens all parts of a
run; a GPU does whole ones unless told otherwise, of whole photos.
"""

import argparse
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import mean, stdev

import torch

from splat_trainer.capture.load import load_scene
from splat_trainer.capture.scene import Scene
from splat_trainer.contract import TrainConfig
from splat_trainer.distributed.exchange import Alone
from splat_trainer.distributed.scaling import scaled_to
from splat_trainer.optimize.gathered import Gathered, floats_for
from splat_trainer.optimize.schedule import schedule_for
from splat_trainer.rasterize.choose import make_rasterizer
from splat_trainer.train.evaluation import evaluate
from splat_trainer.train.training import Training

_VIEWS = 4
_EVENTS = 30


class Rounding(Alone):
    """An exchange of one that gathers as replicas do whose GPUs read each other's memory."""

    narrow = True

    @contextmanager
    def sums_of_all(self, gathered: Gathered) -> Iterator[Gathered]:
        """See `Exchange`: as `Scattered` ones, they are added up in float32."""
        shapes = gathered.shapes
        total = Gathered(gathered.flat.new_empty(floats_for(shapes)), shapes)
        total.take(gathered)
        yield total


def main() -> None:
    """Train every pair, and print what each differs by."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("captures", nargs="+", type=Path)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--seeds", type=int, default=7, help="pairs of each capture")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--steps", type=int, help="1,200 on the CPU")
    parser.add_argument("--side", type=int, help="of photos, in pixels; 96 on the CPU")
    parser.add_argument("--within", type=float, help="seconds after which no pair is begun")
    arguments = parser.parse_args()
    device = torch.device(arguments.device)
    steps, side = arguments.steps, arguments.side
    if device.type == "cpu":
        steps, side = steps or 1_200, side or 96
    begun = time.monotonic()
    on_gpu = device.type == "cuda"
    where = torch.cuda.get_device_name() if on_gpu else f"{torch.get_num_threads()} threads"
    print(f"{where}, torch {torch.__version__}\n")
    print("| scene | seed | PSNR | rounded | higher by |")
    print("|---|---|---|---|---|")
    for capture in arguments.captures:
        differences = []
        for seed in range(arguments.first_seed, arguments.first_seed + arguments.seeds):
            if arguments.within and time.monotonic() - begun > arguments.within:
                break
            config = config_of(device, seed, steps, side)
            scene = load_scene(capture, config)
            plain, rounded = (psnr(scene, config, one) for one in (Alone(device), Rounding(device)))
            differences.append(rounded - plain)
            told = f"{plain:.3f} | {rounded:.3f} | {rounded - plain:+.3f}"
            print(f"| {capture.name} | {seed} | {told} |", flush=True)
        if len(differences) > 1:
            error = stdev(differences) / len(differences) ** 0.5
            spread = f"{mean(differences):+.3f}, standard error {error:.3f}"
            print(f"| {capture.name} | mean | | | {spread} |", flush=True)


def config_of(device: torch.device, seed: int, steps: int | None, side: int | None) -> TrainConfig:
    """A run that is as much shorter in all of its parts, or a whole one."""
    settings: dict[str, object] = {"device": device.type, "preset": "balanced", "seed": seed}
    if side:
        settings["max_side"] = side
    if steps:
        settings["iterations"] = steps
        settings["densify_until_iteration"] = steps * 4 // 5
        settings["densification_interval"] = max(1, steps // _EVENTS)
    return TrainConfig.model_validate(settings)


def psnr(scene: Scene, config: TrainConfig, exchange: Alone) -> float:
    """Of the held-out views, after a whole run."""
    device = torch.device(config.device)
    rasterizer = make_rasterizer(device)
    training = Training(
        scene,
        config,
        scaled_to(schedule_for(config), _VIEWS),
        device=device,
        rasterizer=rasterizer,
        exchange=exchange,
    )
    while training.step < config.iterations:
        training.advance()
    return evaluate(
        training.gaussians, scene.test_views, device=device, on_render=None, rasterizer=rasterizer
    ).psnr


if __name__ == "__main__":
    main()
