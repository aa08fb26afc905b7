"""Trains captures and prints one table: quality, size, speed, and where the seconds went.

    python -m benchmarks.train CAPTURE... [--steps 7000 30000] [--strategy default mcmc] \
        [--preset balanced,fast] [--ablation [NAME...]] [--repeat 3] [--at-once 4] [--within 560] \
        [--set maxSide=800]... [--constant opacities_lr=0.025]... [--json FILE]

Every training is a process of its own, so that start and peak memory are its own, too. `start`
is from the process's start to a trainer with its kernels loaded; `prepare` uploads images and
makes the first Gaussians; `first step` is all before it; `train` is the loop alone; `evaluate`
holds every measurement. `--set` sets a field of the configuration, `--constant` one of
optimize/schedule.py. With `--repeat` every number is the median. `--ablation` trains the variants
of benchmarks/ablation.py, all or those that are named. Trainings that run at once tell nothing of
speed: the table leaves it out.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from benchmarks.ablation import ablation
from benchmarks.training_runs import (
    ABLATION_COLUMNS,
    COLUMNS,
    Row,
    Run,
    Variant,
    in_turn,
    medians,
    scene_name,
    table,
    with_differences,
    without_seconds,
)

_STEPS = 7_000


def main() -> None:
    """Run every training that the arguments name, one after another."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("captures", nargs="+", type=Path)
    parser.add_argument("--steps", nargs="+", type=int)
    parser.add_argument("--strategy", nargs="+", default=["default"])
    parser.add_argument("--preset", help="names with commas between; their own steps, or --steps")
    parser.add_argument("--ablation", nargs="*", metavar="NAME", help="all variants, or these")
    parser.add_argument("--repeat", type=int, default=1, help="trainings of each kind")
    parser.add_argument("--at-once", type=int, default=1, help="trainings side by side")
    parser.add_argument("--within", type=float, help="seconds after which none is started")
    parser.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE")
    parser.add_argument("--constant", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--json", type=Path, help="write machine and rows to this file")
    parser.add_argument("--child", type=float, help=argparse.SUPPRESS)
    parser.add_argument("--variant", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child is not None:
        told = json.loads(arguments.variant)
        run = Run(arguments.captures[0], Variant(**told))
        print(json.dumps(_train(run, arguments.child)))
        return

    runs = in_turn(arguments.captures, _variants(arguments), arguments.repeat)
    rows = _rows(runs, arguments)
    if not rows:
        raise SystemExit("no training came to its end")
    print(json.dumps(rows[0]["machine"]))
    columns = COLUMNS if arguments.ablation is None else ABLATION_COLUMNS
    told = with_differences(medians(rows))
    print(table(told, columns if arguments.at_once == 1 else without_seconds(columns)))


def _rows(runs: list[Run], arguments: argparse.Namespace) -> list[Row]:
    """The rows of all runs that came to their end in time, in the order of the runs."""
    begun = time.monotonic()

    def row_of(run: Run) -> Row | None:
        name = f"{scene_name(run.capture)}, {run.variant.name}"
        if arguments.within is not None and time.monotonic() - begun > arguments.within:
            print(f"# out of time: {name}", file=sys.stderr, flush=True)
            return None
        row = _run_child(run)
        print(f"# {json.dumps(row)}" if row else f"# FAILED: {name}", file=sys.stderr, flush=True)
        return row

    rows: list[Row] = []
    with ThreadPoolExecutor(arguments.at_once) as pool:
        for row in pool.map(row_of, runs):
            if row is None:
                continue
            rows.append(row)
            if arguments.json:  # after each, so that what was measured is never lost
                document = {"arguments": sys.argv[1:], "rows": rows}
                arguments.json.write_text(json.dumps(document, indent=1) + "\n")
    return rows


def _variants(arguments: argparse.Namespace) -> list[Variant]:
    settings = dict(item.split("=", 1) for item in arguments.set)
    constants = {
        name: json.loads(value)
        for name, value in (item.split("=", 1) for item in arguments.constant)
    }
    steps = arguments.steps or [_STEPS]
    if arguments.ablation is not None:
        kinds = [
            Variant(one.name, {**one.settings, "iterations": count}, one.constants)
            for one in ablation(arguments.ablation or None)
            for count in steps
        ]
    elif arguments.preset:
        kinds = [
            Variant(preset, {"preset": preset, **({"iterations": count} if count else {})})
            for preset in arguments.preset.split(",")
            for count in arguments.steps or [None]
        ]
    else:
        kinds = [
            Variant(strategy, {"strategy": strategy, "iterations": count})
            for strategy in arguments.strategy
            for count in steps
        ]
    return [kind.over(settings, constants) for kind in kinds]


def _run_child(run: Run) -> Row | None:
    """One training in a process of its own; None where it failed, which its own words tell."""
    variant = {
        "name": run.variant.name,
        "settings": dict(run.variant.settings),
        "constants": dict(run.variant.constants),
    }
    command = [
        *(sys.executable, "-m", "benchmarks.train", str(run.capture)),
        *("--variant", json.dumps(variant), "--child", repr(time.time())),
    ]
    process = subprocess.run(command, check=False, stdout=subprocess.PIPE, text=True)
    if process.returncode:
        return None
    row: Row = json.loads(process.stdout.splitlines()[-1])
    return row


def _train(run: Run, started: float) -> Row:
    """One training, in this process."""
    import torch  # noqa: PLC0415 - its import is part of what is measured

    from splat_trainer.capture.load import load_scene  # noqa: PLC0415
    from splat_trainer.contract import ProgressDocument, Stage, TrainConfig  # noqa: PLC0415
    from splat_trainer.optimize.schedule import schedule_for  # noqa: PLC0415
    from splat_trainer.rasterize.choose import make_rasterizer  # noqa: PLC0415
    from splat_trainer.train.device import choose_device  # noqa: PLC0415
    from splat_trainer.train.export import export  # noqa: PLC0415
    from splat_trainer.train.loop import train  # noqa: PLC0415

    class Observer:
        def stage(self, stage: Stage) -> None:
            print(f"{stage}", file=sys.stderr, flush=True)

        def progress(self, document: ProgressDocument) -> None:
            if document.iteration % 50 == 0 or document.iteration == document.iterations:
                print(document.model_dump_json(exclude_none=True), file=sys.stderr, flush=True)

    config = TrainConfig.model_validate(dict(run.variant.settings))
    device = choose_device(config.device)
    make_rasterizer(device)
    if device.type == "cuda":
        torch.zeros(1, device=device)
    begun = time.time()
    scene = load_scene(run.capture, config)
    loaded = time.time()
    with tempfile.TemporaryDirectory() as folder:
        outcome = train(
            scene,
            config,
            work_dir=Path(folder),
            observer=Observer(),
            schedule=replace(schedule_for(config), **run.variant.constants),
        )
        trained = time.time()
        export(outcome.gaussians, scene, Path(folder) / "point_cloud.ply", frame=config.frame)
    ended = time.time()
    evaluation, timings = outcome.evaluation, outcome.timings
    peak = outcome.peak_gpu_memory_bytes
    return {
        "scene": scene_name(run.capture),
        "what": run.variant.name,
        "steps": outcome.iterations,
        "PSNR": evaluation.psnr if evaluation else None,
        "SSIM": evaluation.ssim if evaluation else None,
        "Gaussians": len(outcome.gaussians),
        "steps/s": outcome.iterations_per_second,
        "peak GB": peak / 1e9 if peak else None,
        "start": begun - started,
        "load": loaded - begun,
        "prepare": timings.prepare,
        "first step": loaded - started + timings.prepare,
        "train": timings.train,
        "evaluate": timings.evaluate,
        "export": ended - trained,
        "all": ended - started,
        "lens": scene.lens,
        "curve": [
            (point.iteration, round(point.seconds, 2), point.gaussians, point.psnr)
            for point in outcome.curve
            if point.psnr is not None
        ],
        "machine": {
            "gpu": outcome.gpu,
            "cores": len(os.sched_getaffinity(0)),
            "torch": torch.__version__,
            "python": platform.python_version(),
        },
    }


if __name__ == "__main__":
    main()
