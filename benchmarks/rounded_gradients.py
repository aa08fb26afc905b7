"""What it costs that several GPUs exchange rounded gradients: PSNR of pairs of runs, on the CPU.

    python -m benchmarks.rounded_gradients CAPTURE... [--seeds 7] [--steps 1200] [--side 96]

Each run sums four views before Adam steps, as two and four GPUs do together, by preset `balanced`;
of the two of a pair, which have the same seed, one rounds the sums for the spherical harmonics to
bfloat16 (`Gathered`, narrow). Runs differ by chance from the first rounding on, so it takes many.
"""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import mean

import torch

from splat_trainer.capture.load import load_scene
from splat_trainer.capture.scene import Scene
from splat_trainer.contract import TrainConfig
from splat_trainer.distributed.exchange import Alone
from splat_trainer.distributed.scaling import scaled_to
from splat_trainer.optimize.gathered import Gathered, floats_for
from splat_trainer.optimize.schedule import schedule_for
from splat_trainer.rasterize.reference import ReferenceRasterizer
from splat_trainer.train.evaluation import evaluate
from splat_trainer.train.training import Training

CPU = torch.device("cpu")
_VIEWS = 4
_EVENTS = 30


class Rounding(Alone):
    """An exchange of one that gathers as replicas do whose GPUs read each other's memory."""

    narrow = True

    @contextmanager
    def sums_of_all(self, gathered: Gathered) -> Iterator[Gathered]:
        """See `Exchange`: as `Scattered` ones, they are added up in float32."""
        total = Gathered(torch.empty(floats_for(gathered.shapes)), gathered.shapes)
        total.take(gathered)
        yield total


def main() -> None:
    """Train every pair, and print what each differs by."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("captures", nargs="+", type=Path)
    parser.add_argument("--seeds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=1200)
    parser.add_argument("--side", type=int, default=96)
    arguments = parser.parse_args()
    print(f"{torch.get_num_threads()} threads, torch {torch.__version__}\n")
    print("| scene | seed | PSNR | PSNR, rounded | rounded is higher by |")
    print("|---|---|---|---|---|")
    for capture in arguments.captures:
        differences = []
        for seed in range(arguments.seeds):
            config = config_of(seed, arguments.steps, arguments.side)
            scene = load_scene(capture, config)
            plain, rounded = (psnr(scene, config, one) for one in (Alone(CPU), Rounding(CPU)))
            differences.append(rounded - plain)
            told = f"{plain:.3f} | {rounded:.3f} | {rounded - plain:+.3f}"
            print(f"| {capture.name} | {seed} | {told} |", flush=True)
        print(f"| {capture.name} | mean | | | {mean(differences):+.3f} |", flush=True)


def config_of(seed: int, steps: int, side: int) -> TrainConfig:
    """A run that is as much shorter in all of its parts."""
    return TrainConfig(
        device="cpu",
        preset="balanced",
        seed=seed,
        max_side=side,
        iterations=steps,
        densify_until_iteration=steps * 4 // 5,
        densification_interval=max(1, steps // _EVENTS),
    )


def psnr(scene: Scene, config: TrainConfig, exchange: Alone) -> float:
    """Of the held-out views, after a whole run."""
    rasterizer = ReferenceRasterizer()
    training = Training(
        scene,
        config,
        scaled_to(schedule_for(config), _VIEWS),
        device=CPU,
        rasterizer=rasterizer,
        exchange=exchange,
    )
    while training.step < config.iterations:
        training.advance()
    return evaluate(
        training.gaussians, scene.test_views, device=CPU, on_render=None, rasterizer=rasterizer
    ).psnr


if __name__ == "__main__":
    main()
