"""Makes gsplat's CUDA kernels ready, compiled ahead where a folder is named, else by JIT."""

import contextlib
import importlib
import importlib.machinery
import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType

from splat_trainer.contract import TrainerError, environment
from splat_trainer.contract.result import Reason

LIBRARY = "gsplat_cuda.so"
"""The file that a folder of kernels holds: gsplat's extension as torch's JIT names it."""

_MODULE = "gsplat.csrc"
"""Where gsplat looks first for its kernels (gsplat/cuda/_backend.py)."""


def ensure_kernels() -> None:
    """Load or compile gsplat's kernels; the first call does it, later ones return at once."""
    if _MODULE not in sys.modules:
        folder = os.environ.get(environment.KERNELS_DIR, "").strip()
        if folder:
            _install(load_library(Path(folder) / LIBRARY))
    # Compiling tells of itself on standard output, which may be a stream of JSON lines.
    with contextlib.redirect_stdout(sys.stderr):
        try:
            backend = importlib.import_module("gsplat.cuda._backend")
        except (RuntimeError, OSError, ImportError) as error:
            lines = str(error).strip().splitlines() or [type(error).__name__]
            raise TrainerError(
                Reason.INVALID_CONFIGURATION,
                f"gsplat's CUDA kernels did not compile: {lines[0]}: set TORCH_EXTENSIONS_DIR to "
                f"a writable folder, or {environment.KERNELS_DIR} to one with {LIBRARY}",
            ) from error
    if backend._C is None:
        raise TrainerError(
            Reason.INVALID_CONFIGURATION,
            "gsplat has no CUDA kernels and there is no nvcc to compile them: install the CUDA "
            f"toolkit, or set {environment.KERNELS_DIR} to a folder with {LIBRARY}",
        )


def load_library(path: Path) -> ModuleType:
    """Load a compiled extension by its path, so that no compiler, lock or ninja is touched."""
    if not path.is_file():
        raise TrainerError(
            Reason.INVALID_CONFIGURATION,
            f"{environment.KERNELS_DIR} names {path.parent}, which holds no {LIBRARY}: build the "
            "kernels there, or unset it to compile them at start",
        )
    loader = importlib.machinery.ExtensionFileLoader(path.stem, str(path))
    spec = importlib.util.spec_from_file_location(path.stem, path, loader=loader)
    try:
        importlib.import_module("torch")  # whose libraries the extension links against
        if spec is None:
            raise ImportError(f"{path} has no name of an extension module")
        module = importlib.util.module_from_spec(spec)
        loader.exec_module(module)
    except ImportError as error:
        raise TrainerError(
            Reason.INVALID_CONFIGURATION,
            f"{path} does not load: {str(error).splitlines()[0]}: it was built for another "
            "version of torch, CUDA or Python; build it again here",
        ) from error
    return module


def _install(module: ModuleType) -> None:
    """Put the kernels where gsplat's `from gsplat import csrc` finds them."""
    package = importlib.import_module("gsplat")
    sys.modules[_MODULE] = module
    package.csrc = module  # type: ignore[attr-defined]
