"""Loads compiled kernels by their path: no compiler, ninja or lock of PyTorch's is touched."""

import importlib
import importlib.machinery
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

from splat_trainer.contract import Reason, TrainerError
from splat_trainer.kernels.extension import LIBRARY

MODULE = "gsplat.csrc"
"""Where gsplat looks first for its kernels (gsplat/cuda/_backend.py)."""

_LOOKS_FOR_THEM = "gsplat.cuda._backend"


def load_library(path: Path) -> ModuleType:
    """Load a compiled extension.

    Raises:
        TrainerError: InvalidConfiguration; it is not there, or does not fit this process.
    """
    if not path.is_file():
        raise TrainerError(
            Reason.INVALID_CONFIGURATION,
            f"{path.parent} holds no {LIBRARY}: build the kernels there",
        )
    importlib.import_module("torch")  # whose libraries the extension links against
    name = path.name.partition(".")[0]  # that its PyInit_ function bears
    loader = importlib.machinery.ExtensionFileLoader(name, str(path))
    spec = importlib.util.spec_from_file_location(name, path, loader=loader)
    try:
        if spec is None:
            raise ImportError(f"{path} has no name of an extension module")
        module = importlib.util.module_from_spec(spec)
        loader.exec_module(module)
    except ImportError as error:
        raise TrainerError(
            Reason.INVALID_CONFIGURATION,
            f"{path} does not load: {(str(error).splitlines() or ['it says not why'])[0]}: it was "
            "built for another version of torch, CUDA or Python; build it again here",
        ) from error
    return module


def install(module: ModuleType) -> None:
    """Put kernels where gsplat finds them.

    Its own module that looks for them is not imported: that begins with PyTorch's build tools and
    setuptools, half a second, to find a compiler that nobody needs.
    """
    package = importlib.import_module("gsplat")
    sys.modules[MODULE] = module
    package.csrc = module  # type: ignore[attr-defined]
    found = ModuleType(_LOOKS_FOR_THEM)
    found._C = module  # type: ignore[attr-defined]
    sys.modules[_LOOKS_FOR_THEM] = found
