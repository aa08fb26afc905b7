"""Trains one scene on 1, 2 and more GPUs of this machine: seconds of loop, and what it costs.

    python -m benchmarks.multi_gpu CAPTURE... [--gpus 1 2 4] [--repeat 3] [--json FILE] \
        [-- OPTION OF splat-trainer train...]

Every training is a whole run of `splat-trainer train --gpus N` with the options after `--`, of as
many views for every N. The first count is the measure of the others. Numbers are medians.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.program_runs import ProgramRun, all_at_once
from benchmarks.several import split
from benchmarks.training_runs import Row, medians, table

COLUMNS = (
    ("scene", "{}"),
    ("GPUs", "{}"),
    ("runs", "{}"),
    ("PSNR", "{:.2f}"),
    ("PSNR of all", "{}"),
    ("SSIM", "{:.4f}"),
    ("Gaussians", "{:,.0f}"),
    ("steps", "{:,}"),
    ("train", "{:.1f}"),
    ("x", "{:.2f}"),
    ("all", "{:.1f}"),
    ("peak GB", "{:.2f}"),
)


def main() -> None:
    """Run every training that the arguments name, one after another."""
    ours, options = split(sys.argv[1:])
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("captures", nargs="+", type=Path)
    parser.add_argument("--gpus", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--repeat", type=int, default=1, help="trainings of each kind")
    parser.add_argument("--json", type=Path, help="write the rows to this file")
    arguments = parser.parse_args(ours)
    kinds = [(capture, gpus) for capture in arguments.captures for gpus in arguments.gpus]
    rows: list[Row] = []
    for capture, gpus in kinds * arguments.repeat:
        with tempfile.TemporaryDirectory(prefix="multi-gpu-") as folder:
            more = [*options, "--gpus", str(gpus)]
            (run,) = all_at_once([(capture, Path(folder) / "out", more)], 1)
            if run.failure:
                print(f"# FAILED: {capture.name} on {gpus}: {run.failure}", file=sys.stderr)
                continue
            rows.append(row_of(run, gpus))
        print(f"# {json.dumps(rows[-1])}", file=sys.stderr, flush=True)
        if arguments.json:
            document = {"arguments": sys.argv[1:], "rows": rows}
            arguments.json.write_text(json.dumps(document, indent=1) + "\n")
    if not rows:
        raise SystemExit("no training came to its end")
    print(table(with_speedups(medians(rows)), COLUMNS))


def row_of(run: ProgramRun, gpus: int) -> Row:
    """What one training came to."""
    result = run.result()
    peak = result.get("peakGpuMemoryBytes")
    return {
        "scene": run.capture.name,
        "what": gpus,
        "GPUs": gpus,
        "steps": result["iterations"],
        "PSNR": result.get("psnr"),
        "SSIM": result.get("ssim"),
        "Gaussians": result["gaussians"],
        "train": result["trainSeconds"],
        "all": run.seconds,
        "peak GB": peak / 1e9 if peak else None,
        "gpu": result.get("gpu"),
    }


def with_speedups(rows: Sequence[Row]) -> list[Row]:
    """Rows with how many times faster each loop is than that of the scene's first row."""
    first: dict[str, float] = {}
    return [
        {**row, "x": first.setdefault(row["scene"], row["train"]) / row["train"]} for row in rows
    ]


if __name__ == "__main__":
    main()
