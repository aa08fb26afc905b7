"""`splat-trainer train --gpus N`, called as a user does."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from splat_trainer.contract import TrainConfig


class Run:
    """A call of the program that trains in so many processes; its user ends it.

    `program` is the module to run, where it is not the program's own.
    """

    def __init__(
        self,
        capture: Path,
        output: Path,
        gpus: int = 2,
        *,
        program: str = "splat_trainer.cli",
        **settings: Any,
    ) -> None:
        self.output = output
        self.progress = output.with_name(f"{output.name}-{gpus}.json")
        config = TrainConfig.model_validate({"device": "cpu", "frame": "normalized", **settings})
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", program, "train"),
                *("--data", str(capture), "--output", str(output), "--resume"),
                *("--gpus", str(gpus), "--progress-file", str(self.progress)),
                *config.to_args(),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    def end(self) -> tuple[int, str]:
        """Its exit code, and what it wrote to standard error."""
        _, errors = self.process.communicate()
        return self.process.returncode, errors

    def result(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads((self.output / "result.json").read_text())
        return document

    def wait_for_steps(self) -> None:
        until(lambda: self._iteration() > 0)

    def _iteration(self) -> int:
        try:
            return int(json.loads(self.progress.read_text())["iteration"])
        except (OSError, ValueError):
            assert self.process.poll() is None, self.end()
            return 0

    def ranks(self) -> list[int]:
        """The processes that it has started, in order."""
        pid = self.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return sorted(map(int, children))


def until(condition: Callable[[], bool]) -> None:
    while not condition():  # the test's own time limit ends it
        time.sleep(0.02)
