"""Trainings by the program itself, as users call it, and what each tells at its end."""

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from splat_trainer.contract import layout
from splat_trainer.report.metrics import Metrics

LOG = "log.txt"


@dataclass
class ProgramRun:
    """One `splat-trainer train` of a capture, that begins when this is made.

    What it writes to standard error is in the output's `log.txt`.
    """

    capture: Path
    output: Path
    options: Sequence[str]
    seconds: float = field(init=False, default=0.0)

    def __post_init__(self) -> None:
        self.output.mkdir(parents=True)
        command = [
            *(sys.executable, "-m", "splat_trainer.cli", "train", "--progress", "none"),
            *("--data", str(self.capture), "--output", str(self.output), *self.options),
        ]
        self._began = time.monotonic()
        with (self.output / LOG).open("wb") as log:
            self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=log)

    def ended(self) -> bool:
        """Whether it has; the first time that it has, `seconds` becomes what it took."""
        if self._process.poll() is None:
            return False
        self.seconds = self.seconds or time.monotonic() - self._began
        return True

    def kill(self) -> None:
        """End it now."""
        self._process.kill()
        self._process.wait()

    @property
    def failure(self) -> str:
        """Its last words where it failed, else nothing."""
        if self._process.returncode == 0:
            return ""
        lines = (self.output / LOG).read_text(errors="replace").splitlines()
        return lines[-1] if lines else f"it ended with {self._process.returncode}"

    def result(self) -> dict[str, Any]:
        """Its result document."""
        document: dict[str, Any] = json.loads((self.output / "result.json").read_text())
        return document

    def metrics(self) -> Metrics:
        """What it measured of itself."""
        return Metrics.model_validate_json((self.output / layout.METRICS).read_bytes())


def all_at_once(runs: Sequence[tuple[Path, Path, Sequence[str]]], most: int) -> list[ProgramRun]:
    """Make all runs (capture, output, options), at most so many at a time, in their order."""
    done: list[ProgramRun] = []
    going: list[ProgramRun] = []
    left = list(runs)
    try:
        while left or going:
            while left and len(going) < most:
                going.append(ProgramRun(*left.pop(0)))
            ended = [run for run in going if run.ended()]
            going = [run for run in going if run not in ended]
            done += ended
            if not ended:
                time.sleep(0.05)
    finally:
        for run in going:
            run.kill()
    return done
