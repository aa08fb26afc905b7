"""Check the trainer image while it is built, and write down what is in it.

Run as `check_trainer.py OUTPUT` with the Dockerfile's arguments in the environment: one line and
exit code 1 if the image is not what its labels promise, or if pip replaced what the base brings.
"""

import importlib.util
import json
import os
import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy
import torch

NEVER = ("kopf", "kubernetes", "splat_operator")
BROUGHT_BY_THE_BASE = (torch, numpy)


def main(output: Path) -> None:
    """Check, then write `output`."""
    for module in NEVER:
        if importlib.util.find_spec(module):
            sys.exit(f"the trainer image must not hold {module}")
    for package in BROUGHT_BY_THE_BASE:
        if Path(str(package.__file__)).is_relative_to(sys.prefix):
            sys.exit(f"{package.__name__} was installed over the base's own: {package.__file__}")
    kernels = os.environ["GSPLAT_KERNELS"]
    if kernels == "aot":
        _load_kernels()
    facts = {
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "cuda": torch.version.cuda or "none",
        "gsplat": _version_or_none("gsplat"),
        "kernels": kernels,
        "architectures": os.environ["TORCH_CUDA_ARCH_LIST"],
        "splat-operator": version("splat-operator"),
    }
    for label, fact in (
        ("PYTHON_VERSION", "python"),
        ("TORCH_VERSION", "torch"),
        ("CUDA_VERSION", "cuda"),
        ("GSPLAT_VERSION", "gsplat"),
    ):
        promised = os.environ[label]
        if not (facts[fact] + ".").startswith(promised + "."):
            sys.exit(
                f"this image has {fact} {facts[fact]}, but its label would say {promised}: "
                f"give --build-arg {label}"
            )
    if subprocess.run(["splat-trainer", "doctor"], check=False).returncode:
        sys.exit("splat-trainer doctor finds a fault: see above")
    output.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")


def _load_kernels() -> None:
    """Load the image's own kernels, which also proves that they fit this torch."""
    from splat_trainer.contract import KernelsSource, TrainerError, environment  # noqa: PLC0415
    from splat_trainer.kernels.ensure import ensure_kernels  # noqa: PLC0415
    from splat_trainer.kernels.extension import OPERATORS  # noqa: PLC0415

    os.environ[environment.KERNELS_ON_MISS] = "fail"
    try:
        use = ensure_kernels()
    except TrainerError as error:
        sys.exit(f"the image's own kernels do not load: {error.message}")
    if use.source is not KernelsSource.IMAGE:
        sys.exit(f"the kernels that loaded are not the image's own: {use.source}")
    lacking = [name for name in OPERATORS if not hasattr(torch.ops.splat, name)]
    if lacking:
        sys.exit(f"the image's kernels lack the trainer's own, compiled with gsplat's: {lacking}")


def _version_or_none(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "none"


if __name__ == "__main__":
    main(Path(sys.argv[1]))
