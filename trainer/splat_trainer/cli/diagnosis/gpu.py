"""Whether there is a GPU that PyTorch can use, and why not."""

from pathlib import Path

from splat_trainer.cli.diagnosis.finding import Finding, Verdict
from splat_trainer.contract.config import Device


def look_for_gpu(wanted: Device, dev: Path = Path("/dev")) -> Finding:
    """Find the GPU that a training would use; it is a fault to have none only where wanted."""
    if wanted == "cpu":
        return Finding("GPU", Verdict.OK, "not looked for: the CPU is asked for")
    try:
        import torch  # noqa: PLC0415 - seconds, and it may be missing
    except ImportError as error:
        return Finding("GPU", Verdict.FAULT, f"PyTorch cannot be imported: {error}")
    if torch.cuda.is_available():
        properties = torch.cuda.get_device_properties(0)
        free, total = torch.cuda.mem_get_info(0)
        return Finding(
            "GPU",
            Verdict.OK,
            f"{properties.name}, compute capability {properties.major}.{properties.minor}, "
            f"{free / 2**30:.1f} of {total / 2**30:.1f} GiB free",
        )
    if torch.version.cuda is None:
        why = f"PyTorch {torch.__version__} is built without CUDA: install a CUDA build"
    elif not any(dev.glob("nvidia[0-9]*")):
        why = (
            "no NVIDIA device is visible here: check the driver, and in a container that a GPU "
            "was asked for (nvidia.com/gpu, --gpus)"
        )
    else:
        why = f"the device is there but CUDA {torch.version.cuda} does not start: {_refusal()}"
    if wanted == "cuda":
        return Finding("GPU", Verdict.FAULT, why)
    return Finding("GPU", Verdict.NOTE, f"none, training would be slow on the CPU; {why}")


def capability() -> tuple[int, int] | None:
    """Compute capability of the GPU that is there; None without one."""
    try:
        import torch  # noqa: PLC0415
    except ImportError:
        return None
    return torch.cuda.get_device_capability() if torch.cuda.is_available() else None


def _refusal() -> str:
    import torch  # noqa: PLC0415

    try:
        torch.cuda.current_device()
    except (RuntimeError, AssertionError) as error:
        return " ".join(str(error).split())[:200]
    return "it says not why"
