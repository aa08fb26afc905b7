"""Runs the trainer as users do: a process, its streams, its exit code."""

import json
import os
import subprocess
import sys
from pathlib import Path

from splat_trainer.contract import ProgressDocument, ResultDocument

SHARED_DATA = Path(__file__).parents[3] / "shared" / "data"

COMMAND = (sys.executable, "-m", "splat_trainer.cli")


def environment(result: Path | None = None) -> dict[str, str]:
    """This process's environment (which fixtures may have changed), two cores, and no GPU."""
    own = {"OMP_NUM_THREADS": "2", "CUDA_VISIBLE_DEVICES": ""}
    if result:
        own["SPLAT_RESULT_PATH"] = str(result)
    return {**os.environ, **own}


def start(*args: str | Path, result: Path | None = None) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*COMMAND, *map(str, args)],
        env=environment(result),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(*args: str | Path, result: Path | None = None) -> subprocess.CompletedProcess[str]:
    with start(*args, result=result) as process:
        try:
            stdout, stderr = process.communicate(timeout=500)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
    return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)


def progress_of(stdout: str) -> list[ProgressDocument]:
    return [ProgressDocument.model_validate(json.loads(line)) for line in stdout.splitlines()]


def result_in(path: Path) -> ResultDocument:
    return ResultDocument.model_validate_json(path.read_text())
