"""Checkpoints: all that a run needs to go on as if it had never stopped."""

import errno
import logging
import pickle
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from splat_trainer.capture.scene import Scene
from splat_trainer.contract import TrainConfig, TrainerError
from splat_trainer.contract.result import Reason
from splat_trainer.gaussians.atomic_file import atomic_file
from splat_trainer.gaussians.gaussians import Gaussians
from splat_trainer.storage.fault import local_fault, local_faults
from splat_trainer.train.checkpoint_files import (
    checkpoint_name,
    checkpoints_in,
    newest_checkpoint,
)
from splat_trainer.train.observer import CurvePoint

_log = logging.getLogger(__name__)

_FORMAT = "splat-trainer checkpoint 1"
_UNREADABLE = (
    *(AttributeError, EOFError, IndexError, KeyError, OSError, RuntimeError, TypeError, ValueError),
    pickle.UnpicklingError,
)
"""What torch, pickle and our own checks raise over a file that is something else."""


class NoCheckpointError(TrainerError):
    """A file is none of this trainer's checkpoints, or not whole."""


@dataclass(frozen=True)
class Checkpoint:
    """A run after `step` finished steps, its tensors on the CPU.

    `adam` is Adam's memory, `strategy` the strategy's state; `rng` the state of
    the run's generator on `device`; `seconds` what the loop took so far; `views` the names of
    the training views in order.
    """

    step: int
    gaussians: Gaussians
    adam: dict[str, dict[str, Tensor]]
    strategy: dict[str, Tensor]
    rng: Tensor
    device: str
    seconds: float
    curve: tuple[CurvePoint, ...]
    config: TrainConfig
    views: tuple[str, ...]


def save_checkpoint(checkpoint: Checkpoint, folder: Path) -> Path:
    """Write a checkpoint, whole or not at all, then remove the older ones."""
    path = folder / checkpoint_name(checkpoint.step)
    document = {
        "format": _FORMAT,
        "step": checkpoint.step,
        "gaussians": {name: tensor.detach() for name, tensor in checkpoint.gaussians},
        "adam": checkpoint.adam,
        "strategy": checkpoint.strategy,
        "rng": checkpoint.rng,
        "device": checkpoint.device,
        "seconds": checkpoint.seconds,
        "curve": [
            (point.iteration, point.seconds, point.loss, point.gaussians, point.psnr)
            for point in checkpoint.curve
        ],
        "config": checkpoint.config.model_dump(mode="json", exclude_unset=True),
        "views": list(checkpoint.views),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with atomic_file(path) as file:
            torch.save(document, file)
        for older in checkpoints_in(folder):
            if older.name < path.name:
                older.unlink()
    except OSError as error:
        raise local_fault(error, "write", path) from error
    except RuntimeError as error:  # torch wraps what its zip writer meets
        raise TrainerError(
            Reason.STORAGE_UNAVAILABLE,
            f"cannot write {path}: {_first_line(error)}: free space there, then try again",
        ) from error
    return path


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint, or the newest in a folder; nothing in it can run code.

    What torch says of another file is not told: it advises to let it run code.
    """
    with local_faults("read", path):
        is_folder = path.is_dir()
    if is_folder:
        newest = newest_checkpoint(path)
        if newest is None:
            raise TrainerError(
                Reason.CAPTURE_NOT_FOUND, f"no checkpoint in {path}: check the path to resume from"
            )
        path = newest
    try:
        with path.open("rb") as file:
            document = torch.load(file, map_location="cpu", weights_only=True)
    except _UNREADABLE as error:
        # A file that was cut makes torch seek to where there is nothing: EINVAL.
        if isinstance(error, OSError) and error.errno != errno.EINVAL:
            raise local_fault(error, "read", path) from error
        raise _no_checkpoint(path) from error
    try:
        return _from_document(document)
    except _UNREADABLE as error:
        raise _no_checkpoint(path, f" ({_first_line(error)})") from error


def check_resumable(checkpoint: Checkpoint, scene: Scene, config: TrainConfig) -> None:
    """Refuse to go on with another capture, or with settings that the parameters do not fit."""
    for field in ("strategy", "sh_degree"):
        before, now = getattr(checkpoint.config, field), getattr(config, field)
        if before != now:
            raise TrainerError(
                Reason.INVALID_CONFIGURATION,
                f"the checkpoint was trained with {field} {before}, this run asks for {now}: "
                "use the same, or start anew",
            )
    names = tuple(view.name for view in scene.train_views)
    if checkpoint.views != names:
        raise TrainerError(
            Reason.INVALID_CONFIGURATION,
            f"the checkpoint was trained on {len(checkpoint.views)} views that are not this "
            f"capture's {len(names)}: is it another capture, or another --holdout-every?",
        )


def within(checkpoint: Checkpoint, cap: int | None) -> Checkpoint:
    """A checkpoint with at most `cap` Gaussians: those of the least opacity are left out."""
    count = len(checkpoint.gaussians)
    if cap is None or count <= cap:
        return checkpoint
    _log.info("%s Gaussians of the checkpoint's %s are left out", f"{count - cap:,}", f"{count:,}")
    rows = checkpoint.gaussians.opacities.topk(cap).indices.sort().values

    def kept(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        return {
            name: one[rows] if one.ndim and len(one) == count else one
            for name, one in tensors.items()
        }

    return replace(
        checkpoint,
        gaussians=checkpoint.gaussians.select(rows),
        adam={kind: kept(tensors) for kind, tensors in checkpoint.adam.items()},
        strategy=kept(checkpoint.strategy),
    )


def _from_document(document: Any) -> Checkpoint:
    if not isinstance(document, dict) or document.get("format") != _FORMAT:
        raise ValueError(f"its format is not {_FORMAT!r}")
    gaussians = Gaussians.from_dict(document["gaussians"])
    count = len(gaussians)
    rows = [*gaussians.as_dict().values(), *document["strategy"].values()]
    if any(len(tensor) != count for tensor in rows):
        raise ValueError("its tensors are not of one length")
    return Checkpoint(
        step=int(document["step"]),
        gaussians=gaussians,
        adam={name: dict(tensors) for name, tensors in document["adam"].items()},
        strategy=dict(document["strategy"]),
        rng=document["rng"],
        device=str(document["device"]),
        seconds=float(document["seconds"]),
        curve=tuple(CurvePoint(*point) for point in document["curve"]),
        config=TrainConfig.model_validate(document["config"]),
        views=tuple(document["views"]),
    )


def _no_checkpoint(path: Path, why: str = "") -> NoCheckpointError:
    return NoCheckpointError(
        Reason.INVALID_CONFIGURATION,
        f"{path} is no whole checkpoint of this trainer{why}: resume from another, or start anew",
    )


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
