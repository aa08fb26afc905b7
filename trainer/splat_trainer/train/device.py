"""Where a training runs."""

import torch

from splat_trainer.contract import TrainerError
from splat_trainer.contract.config import Device
from splat_trainer.contract.result import Reason


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


def gpu_name(device: torch.device) -> str | None:
    """The GPU's name, None on the CPU."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else None


def synchronize(device: torch.device) -> None:
    """Wait until a device has done all it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
