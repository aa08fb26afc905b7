"""Trains captures and prints one table: quality, size, speed, and where the seconds went.

    python -m benchmarks.train CAPTURE... [--steps 7000 30000] [--strategy default mcmc] \
        [--preset balanced,fast] [--ablation [NAME...]] [--repeat 3] [--at-once 4] [--within 560] \
        [--set maxSide=800]... [--constant opacities_lr=0.025]... [--json FILE]

Every training is a whole run of `splat-trainer train`, whose own metrics the table shows; `all` is
from the process's start to its end. `first step` is all before it; `prepare` is what it waited for
after loading; `train` is the loop alone; `evaluate` holds every measurement. `--set` sets a field
of the configuration. `--constant` sets one of optimize/schedule.py, which no user can: such
trainings (benchmarks/train_with_constants.py) tell the loop's seconds only. With `--repeat` every
number is the median. `--ablation` trains the variants of benchmarks/ablation.py, all or those that
are named. Trainings that run at once tell nothing of speed: the table leaves it out.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.ablation import ablation
from benchmarks.program_runs import all_at_once
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
from splat_trainer.contract import TrainConfig

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
    arguments = parser.parse_args()
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
    with_constants = any(run.variant.constants for run in runs)
    train = _with_constants if with_constants else _by_the_program

    def row_of(run: Run) -> Row | None:
        name = f"{scene_name(run.capture)}, {run.variant.name}"
        if arguments.within is not None and time.monotonic() - begun > arguments.within:
            print(f"# out of time: {name}", file=sys.stderr, flush=True)
            return None
        row = train(run)
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


def _by_the_program(run: Run) -> Row | None:
    """One training by `splat-trainer train`; None where it failed, which its last words tell."""
    config = TrainConfig.model_validate(dict(run.variant.settings))
    with tempfile.TemporaryDirectory(prefix="train-") as folder:
        (done,) = all_at_once([(run.capture, Path(folder) / "out", config.to_args())], 1)
        if done.failure:
            print(f"# {done.failure}", file=sys.stderr)
            return None
        metrics = done.metrics()
    seconds = metrics.seconds
    peak = metrics.peak_gpu_memory_bytes
    return {
        "scene": scene_name(run.capture),
        "what": run.variant.name,
        "steps": metrics.iterations,
        "PSNR": metrics.psnr,
        "SSIM": metrics.ssim,
        "Gaussians": metrics.gaussians,
        "steps/s": metrics.iterations_per_second,
        "peak GB": peak / 1e9 if peak else None,
        "start": seconds.start,
        "load": seconds.load,
        "prepare": seconds.prepare,
        "first step": seconds.start + seconds.fetch + seconds.load + seconds.prepare,
        "train": seconds.train,
        "evaluate": seconds.evaluate,
        "export": seconds.export,
        "all": done.seconds,
        "lens": metrics.capture.lens,
        "views": {view.name: round(view.psnr, 2) for view in metrics.views},
        "machine": {
            "gpu": metrics.machine.gpu,
            "cores": metrics.machine.cpus,
            "torch": metrics.versions.torch,
            "python": metrics.versions.python,
        },
    }


def _with_constants(run: Run) -> Row | None:
    """One training with other constants, in a process of its own; None where it failed."""
    variant = {
        "name": run.variant.name,
        "settings": dict(run.variant.settings),
        "constants": dict(run.variant.constants),
    }
    command = [
        *(sys.executable, "-m", "benchmarks.train_with_constants"),
        *(str(run.capture), json.dumps(variant)),
    ]
    process = subprocess.run(command, check=False, stdout=subprocess.PIPE, text=True)
    if process.returncode:
        return None
    row: Row = json.loads(process.stdout.splitlines()[-1])
    return row


if __name__ == "__main__":
    main()
