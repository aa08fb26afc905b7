"""Trains captures and prints one table: quality, size, speed, and where the seconds went.

    python -m benchmarks.train CAPTURE... [--steps 7000 30000] [--strategy default] \
        [--set maxSide=800]... [--constant opacities_lr=0.025]... [--json FILE]

Every training is a process of its own, so that start and peak memory are its own, too. `start`
is from the process's start to a trainer with its kernels loaded; `prepare` uploads images and
makes the first Gaussians; `train` is the loop alone; `evaluate` holds every measurement.
`--set` sets a field of the configuration, `--constant` one of optimize/schedule.py.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

COLUMNS = (
    ("scene", "{}"),
    ("strategy", "{}"),
    ("steps", "{:,}"),
    ("PSNR", "{:.2f}"),
    ("SSIM", "{:.4f}"),
    ("Gaussians", "{:,}"),
    ("steps/s", "{:.0f}"),
    ("peak GB", "{:.2f}"),
    ("start", "{:.1f}"),
    ("load", "{:.1f}"),
    ("prepare", "{:.1f}"),
    ("train", "{:.1f}"),
    ("evaluate", "{:.1f}"),
    ("export", "{:.1f}"),
    ("all", "{:.1f}"),
)


def main() -> None:
    """Run every training that the arguments name, one after another."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("captures", nargs="+", type=Path)
    parser.add_argument("--steps", nargs="+", type=int, default=[7_000])
    parser.add_argument("--strategy", nargs="+", default=["default"])
    parser.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE")
    parser.add_argument("--constant", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--json", type=Path, help="write machine and rows to this file")
    parser.add_argument("--child", type=float, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    settings = dict(item.split("=", 1) for item in arguments.set)
    constants = dict(item.split("=", 1) for item in arguments.constant)
    passed_on = [
        *(word for item in arguments.set for word in ("--set", item)),
        *(word for item in arguments.constant for word in ("--constant", item)),
    ]
    if arguments.child is not None:
        row = _train(
            arguments.captures[0],
            {"iterations": arguments.steps[0], "strategy": arguments.strategy[0], **settings},
            {name: json.loads(value) for name, value in constants.items()},
            arguments.child,
        )
        print(json.dumps(row))
        return

    rows, machine = [], None
    for capture in arguments.captures:
        for strategy in arguments.strategy:
            for steps in arguments.steps:
                row = _run_child(capture, strategy, steps, passed_on)
                machine = row.pop("machine")
                rows.append(row)
                print(f"# {json.dumps(row)}", file=sys.stderr, flush=True)
    print(json.dumps(machine))
    print(table(rows))
    if arguments.json:
        document = {"machine": machine, "settings": settings, "constants": constants, "rows": rows}
        arguments.json.write_text(json.dumps(document, indent=1) + "\n")


def table(rows: list[dict[str, Any]]) -> str:
    """The rows as a Markdown table."""
    lines = [
        "| " + " | ".join(name for name, _ in COLUMNS) + " |",
        "|" + "---|" * len(COLUMNS),
    ]
    for row in rows:
        cells = [
            "-" if row.get(name) is None else shape.format(row[name]) for name, shape in COLUMNS
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def scene_name(capture: Path) -> str:
    """The capture's own name, with that of its model where a model's folder is given."""
    parts = capture.resolve().parts
    return f"{parts[-3]} ({parts[-2]})" if capture.name.isdigit() else capture.name


def _run_child(capture: Path, strategy: str, steps: int, passed_on: list[str]) -> dict[str, Any]:
    command = [
        *(sys.executable, "-m", "benchmarks.train", str(capture)),
        *("--steps", str(steps), "--strategy", strategy, "--child", repr(time.time())),
        *passed_on,
    ]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    row: dict[str, Any] = json.loads(output.splitlines()[-1])
    return row


def _train(
    capture: Path, settings: dict[str, Any], constants: dict[str, Any], started: float
) -> dict[str, Any]:
    """One training, in this process."""
    import torch  # noqa: PLC0415 - its import is part of what is measured

    from splat_trainer.capture.load import load_scene  # noqa: PLC0415
    from splat_trainer.contract import ProgressDocument, Stage, TrainConfig  # noqa: PLC0415
    from splat_trainer.optimize.schedule import schedule_for  # noqa: PLC0415
    from splat_trainer.rasterize.interface import make_rasterizer  # noqa: PLC0415
    from splat_trainer.train.device import choose_device  # noqa: PLC0415
    from splat_trainer.train.export import export  # noqa: PLC0415
    from splat_trainer.train.loop import train  # noqa: PLC0415

    class Observer:
        def stage(self, stage: Stage) -> None:
            print(f"{stage}", file=sys.stderr, flush=True)

        def progress(self, document: ProgressDocument) -> None:
            if document.iteration % 50 == 0 or document.iteration == document.iterations:
                print(document.model_dump_json(exclude_none=True), file=sys.stderr, flush=True)

    config = TrainConfig.model_validate(settings)
    device = choose_device(config.device)
    make_rasterizer(device)
    if device.type == "cuda":
        torch.zeros(1, device=device)
    begun = time.time()
    scene = load_scene(capture, config)
    loaded = time.time()
    with tempfile.TemporaryDirectory() as folder:
        outcome = train(
            scene,
            config,
            work_dir=Path(folder),
            observer=Observer(),
            schedule=replace(schedule_for(config), **constants),
        )
        trained = time.time()
        export(outcome.gaussians, scene, Path(folder) / "point_cloud.ply", frame=config.frame)
    ended = time.time()
    evaluation, timings = outcome.evaluation, outcome.timings
    peak = outcome.peak_gpu_memory_bytes
    return {
        "scene": scene_name(capture),
        "strategy": config.strategy,
        "steps": outcome.iterations,
        "PSNR": evaluation.psnr if evaluation else None,
        "SSIM": evaluation.ssim if evaluation else None,
        "Gaussians": len(outcome.gaussians),
        "steps/s": outcome.iterations_per_second,
        "peak GB": peak / 1e9 if peak else None,
        "start": begun - started,
        "load": loaded - begun,
        "prepare": timings.prepare,
        "train": timings.train,
        "evaluate": timings.evaluate,
        "export": ended - trained,
        "all": ended - started,
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
