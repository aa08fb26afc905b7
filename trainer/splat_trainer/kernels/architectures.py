"""GPU architectures: what kernels are compiled for, and which GPUs can run that. Pure.

An architecture is a compute capability as TORCH_CUDA_ARCH_LIST takes it: "8.6" is machine code
(cubin) for it, "9.0+PTX" is that and assembly too, which the driver compiles for newer GPUs.
"""

import re
from collections.abc import Iterable

from splat_trainer.contract import Reason, TrainerError
from splat_trainer.contract.failure import shown
from splat_trainer.contract.kernels import ARCHITECTURE_PATTERN

Capability = tuple[int, int]
"""Major and minor version of a GPU's compute capability, as torch gives them."""

_MOST = 32


def parse_architectures(texts: Iterable[str]) -> tuple[str, ...]:
    """Read architectures, each text one or a list as TORCH_CUDA_ARCH_LIST is; sorted, none twice.

    Raises:
        TrainerError: InvalidConfiguration, where one is none, or there is none at all.
    """
    words = [word for text in texts for word in re.split(r"[;,\s]+", text) if word]
    for word in words:
        if not re.match(ARCHITECTURE_PATTERN, word):
            raise TrainerError(
                Reason.INVALID_CONFIGURATION,
                f"{shown(word)} is no GPU architecture: give compute capabilities such as 8.6 "
                "or 9.0+PTX",
            )
    if not words or len(words) > _MOST:
        raise TrainerError(
            Reason.INVALID_CONFIGURATION,
            f"name 1 to {_MOST} GPU architectures, such as 8.6 or 9.0+PTX",
        )
    return tuple(sorted(set(words), key=_order))


def run_on(architectures: Iterable[str], gpu: Capability) -> bool:
    """Tell whether kernels for these architectures run on a GPU.

    Machine code runs on the same major version from its minor version on, PTX on all that is
    newer; what ends in "a" on that very GPU, in "f" on its family (CUDA C++ Programming Guide,
    5.1 Compute Capabilities and 5.9.3 Feature Set Compatibility).
    """
    return any(_runs_on(architecture, gpu) for architecture in architectures)


def native_to(gpu: Capability) -> str:
    """Name the architecture of a GPU."""
    return f"{gpu[0]}.{gpu[1]}"


def _runs_on(architecture: str, gpu: Capability) -> bool:
    (major, minor), suffix, ptx = _parts(architecture)
    if suffix == "a":
        return gpu == (major, minor)
    binary = gpu[0] == major and gpu[1] >= minor
    return binary or (ptx and not suffix and gpu >= (major, minor))


def _parts(architecture: str) -> tuple[Capability, str, bool]:
    number, _, ptx = architecture.partition("+")
    suffix = number[-1] if number[-1] in "af" else ""
    major, minor = number.removesuffix(suffix).split(".")
    return (int(major), int(minor)), suffix, bool(ptx)


def _order(architecture: str) -> tuple[Capability, str, bool]:
    return _parts(architecture)
