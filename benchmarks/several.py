"""Trains several scenes on one GPU, so many at once: scenes an hour, and the memory of each.

    python -m benchmarks.several CAPTURE... [--at-once 1 2 4] [--trainings 4] [--json FILE] \
        [-- OPTION OF splat-trainer train...]

Each is a whole run of `splat-trainer train` with the options after `--`: its start, its reading of
the capture and its outputs count. The first row is the measure of the others: give 1 first. The
captures take turns. Whether their kernels may run at the same time is not this program's to say:
start `nvidia-cuda-mps-control -d` before, or not, and compare; the first line tells which it was.
Give `--max-gaussians` or a preset, so that memory is bounded.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.program_runs import ProgramRun, all_at_once
from benchmarks.training_runs import Row, table

COLUMNS = (
    ("at once", "{}"),
    ("trainings", "{}"),
    ("failed", "{}"),
    ("all s", "{:.1f}"),
    ("each s", "{:.1f}"),
    ("scenes/h", "{:.1f}"),
    ("x", "{:.2f}"),
    ("peak GB each", "{:.2f}"),
    ("PSNR", "{:.2f}"),
    ("why", "{}"),
)


def main() -> None:
    """Measure each count of trainings at once, and print a table."""
    ours, options = split(sys.argv[1:])
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("captures", nargs="+", type=Path)
    parser.add_argument("--at-once", nargs="+", type=int, default=[1, 2, 4])
    parser.add_argument("--trainings", type=int, default=4, help="of each kind")
    parser.add_argument("--json", type=Path, help="write machine and rows to this file")
    arguments = parser.parse_args(ours)
    machine = {"gpu": _gpu(), "mps": _mps(), "cpus": len(os.sched_getaffinity(0))}
    print(json.dumps(machine))
    rows: list[Row] = []
    for most in arguments.at_once:
        with tempfile.TemporaryDirectory(prefix="several-") as folder:
            runs = [
                (arguments.captures[i % len(arguments.captures)], Path(folder) / str(i), options)
                for i in range(arguments.trainings)
            ]
            began = time.monotonic()
            done = all_at_once(runs, most)
            rows.append(row_of(most, done, time.monotonic() - began))
        print(f"# {json.dumps(rows[-1])}", file=sys.stderr, flush=True)
        if arguments.json:
            document = {"machine": machine, "arguments": sys.argv[1:], "rows": rows}
            arguments.json.write_text(json.dumps(document, indent=1) + "\n")
    print(table(with_factors(rows), COLUMNS))
    if any(row["failed"] for row in rows):
        raise SystemExit(1)


def row_of(most: int, runs: Sequence[ProgramRun], seconds: float) -> Row:
    """What so many trainings at once came to; those that failed are no scenes."""
    good = [run for run in runs if not run.failure]
    results = [run.result() for run in good]
    return {
        "at once": most,
        "trainings": len(runs),
        "failed": len(runs) - len(good),
        "why": next((run.failure for run in runs if run.failure), None),
        "all s": seconds,
        "each s": statistics.median(run.seconds for run in good) if good else None,
        "scenes/h": 3600 * len(good) / seconds,
        "peak GB each": _most(result.get("peakGpuMemoryBytes") for result in results),
        "PSNR": _mean([result["psnr"] for result in results if "psnr" in result]),
    }


def with_factors(rows: Sequence[Row]) -> list[Row]:
    """Rows with how many times the first one's scenes an hour each makes."""
    first = rows[0]["scenes/h"] if rows else 0
    return [{**row, "x": row["scenes/h"] / first if first else None} for row in rows]


def _most(bytes_: Any) -> float | None:
    known = [value for value in bytes_ if value]
    return max(known) / 1e9 if known else None


def _mean(values: Sequence[float]) -> float | None:
    return statistics.fmean(values) if values else None


def split(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """What is before and what is after the first `--`."""
    place = list(arguments).index("--") if "--" in arguments else len(arguments)
    return list(arguments[:place]), list(arguments[place + 1 :])


def _gpu() -> str | None:
    query = ["nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader"]
    try:
        done = subprocess.run(query, check=True, capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _mps() -> bool:
    """Whether the control daemon of CUDA's Multi-Process Service runs on this machine."""
    for name in Path("/proc").glob("[0-9]*/comm"):
        try:
            # The kernel cuts names at 15 characters.
            if name.read_text().strip() == "nvidia-cuda-mps-control"[:15]:
                return True
        except OSError:
            continue
    return False


if __name__ == "__main__":
    main()
