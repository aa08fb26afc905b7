"""Has a capture read by a process of its own, while this one imports PyTorch.

Both are mostly Python, which does one thing at a time: threads that decode photos and a thread
that imports wait for each other's lock, the more of them the longer. (docs/benchmarks.md)
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from splat_trainer.contract import Reason, TrainConfig, TrainerError, environment
from splat_trainer.distributed.child import OURSELVES, stop_signals_blocked
from splat_trainer.distributed.verdict import memory_kills, why_ended

if TYPE_CHECKING:  # numpy is not waited for before PyTorch is begun with
    from splat_trainer.capture.scene import Scene


@dataclass(frozen=True)
class Task:
    """What the reader is asked for: the scene that a folder holds, put into the shared file."""

    folder: Path
    config: TrainConfig


@dataclass(frozen=True)
class Ended:
    """What the reader says last, after lines for the log: a failure, or that the scene is there."""

    reason: Reason | None = None
    message: str = ""


class CaptureReader:
    """The process, from now to `close`, or until it has read a capture.

    `scene` is the descriptor of the empty file that the capture is read into (memfd_create(2)),
    one of its own where None. A process that has PyTorch already reads the capture itself.
    """

    def __init__(self, *, verbose: bool, scene: int | None = None) -> None:
        self._scene = os.memfd_create("splat-trainer-scene") if scene is None else os.dup(scene)
        self._memory_kills = memory_kills()
        self._child = None if has_pytorch() else _start(self._scene, verbose=verbose)

    def read(self, folder: Path, config: TrainConfig) -> Scene:
        """Wait for the scene that the folder holds.

        Raises:
            TrainerError: InvalidCapture and the like, or what ended the process.
        """
        if self._child is None:
            from splat_trainer.capture.load import load_to_train  # noqa: PLC0415 - for this alone

            load_to_train(folder, config, self._scene)
        else:
            ended = self._ask(self._child, Task(folder, config))
            if ended.reason is not None:
                raise TrainerError(ended.reason, ended.message)
        # Not above: it imports numpy, which is not waited for before PyTorch is begun with.
        from splat_trainer.capture.shared_scene import read_scene  # noqa: PLC0415

        scene = read_scene(self._scene)
        self.close()
        return scene

    def close(self) -> None:
        """End it, whatever it does; a scene that it has given stays."""
        if self._child is not None:
            self._child.pipe.close()
            self._child.process.kill()
            self._child.process.wait()
            self._child = None
        if self._scene >= 0:
            os.close(self._scene)
            self._scene = -1

    def _ask(self, child: _Child, task: Task) -> Ended:
        try:
            child.pipe.send(task)
            while not isinstance(told := child.pipe.recv(), Ended):
                logging.getLogger(told.name).handle(told)
        except (EOFError, OSError):
            raise why_ended(
                "the process that reads the capture",
                child.process.wait(),
                killed_for_memory=memory_kills() > self._memory_kills,
            ) from None
        return told


def has_pytorch() -> bool:
    """Whether this process has imported it, so that nothing would go on beside."""
    return "torch" in sys.modules


class _Child(NamedTuple):
    process: subprocess.Popen[bytes]
    pipe: Connection


def _start(scene: int, *, verbose: bool) -> _Child:
    environ = dict(os.environ)
    environ.pop(environment.RESULT_PATH, None)  # how the run ends is not the reader's to tell
    ours, its = Pipe()
    with its, stop_signals_blocked():
        process = subprocess.Popen(
            [
                *OURSELVES,
                *(["--verbose"] if verbose else []),
                *("reader", "--scene", str(scene), "--pipe", str(its.fileno())),
                *("--parent", str(os.getpid())),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,  # where this process may tell its progress
            env=environ,
            pass_fds=(scene, its.fileno()),
            start_new_session=True,  # Ctrl-C is for this process alone
        )
    return _Child(process, ours)
