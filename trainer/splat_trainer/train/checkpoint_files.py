"""The files that checkpoints are in, known by their names; imports no PyTorch."""

import re
from pathlib import Path

_NAME = re.compile(r"checkpoint_\d{7}\.pt")


def checkpoint_name(step: int) -> str:
    """The name of the checkpoint after `step` finished steps."""
    return f"checkpoint_{step:07d}.pt"


def newest_checkpoint(folder: Path) -> Path | None:
    """The checkpoint of the latest step in a folder, None where there is none."""
    return max(checkpoints_in(folder), key=lambda path: path.name, default=None)


def checkpoints_in(folder: Path) -> list[Path]:
    """The checkpoints in a folder, which may hold what is none of ours, and need not be there."""
    return [path for path in folder.glob("checkpoint_*.pt") if is_checkpoint(path.name)]


def is_checkpoint(name: str) -> bool:
    """Whether a file's name is one that `save_checkpoint` gives."""
    return _NAME.fullmatch(name) is not None


def step_of(path: Path) -> int:
    """The step that a checkpoint's name tells."""
    return int(path.stem.rpartition("_")[2])
