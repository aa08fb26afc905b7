"""Where a training runs, and how much of it."""

import os

import torch

from splat_trainer.capture.cores import usable_cores
from splat_trainer.contract import TrainerError
from splat_trainer.contract.config import Device
from splat_trainer.contract.result import Reason
from splat_trainer.distributed.rank import Rank


def choose_device(wanted: Device) -> torch.device:
    """The device that a configuration asks for; `auto` is a GPU if there is one."""
    if wanted == "cpu":
        return torch.device("cpu")
    if torch.cuda.is_available():
        return torch.device("cuda")
    if wanted == "cuda":
        built = torch.version.cuda
        why = "PyTorch finds no NVIDIA GPU" if built else "this PyTorch is built without CUDA"
        raise TrainerError(
            Reason.NO_GPU,
            f"device cuda: {why}: give the machine or pod a GPU (nvidia.com/gpu), "
            "or use --device cpu",
        )
    return torch.device("cpu")


def device_of(rank: Rank) -> torch.device:
    """The device of one of several processes that train together."""
    return torch.device("cuda", rank.gpu) if rank.device == "cuda" else torch.device("cpu")


def gpu_name(device: torch.device) -> str | None:
    """The GPU's name, None on the CPU."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else None


def synchronize(device: torch.device) -> None:
    """Wait until a device has done all it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def use_cores_we_have(device: torch.device) -> None:
    """On the CPU, give PyTorch as many threads as this process may run at once.

    It would take one for every core of the host, also where a container is limited to a few:
    the others then wait for a thread that is not scheduled. OMP_NUM_THREADS decides where set.
    """
    if device.type == "cpu" and not os.environ.get("OMP_NUM_THREADS"):
        torch.set_num_threads(usable_cores())
