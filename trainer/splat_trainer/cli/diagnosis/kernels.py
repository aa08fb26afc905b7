"""Whether gsplat's CUDA kernels are ready or would be compiled; compiles and loads nothing.

Where gsplat looks, in its order: `gsplat.csrc` compiled ahead, then the folder of PyTorch's JIT
(gsplat 1.5.3, cuda/_backend.py); `SPLAT_KERNELS_DIR` comes before both (kernels/load.py).
"""

import importlib.util
import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from splat_trainer.cli.diagnosis.finding import Finding, Verdict
from splat_trainer.contract import environment
from splat_trainer.kernels.load import LIBRARY

_NAME = "CUDA kernels"


def look_for_kernels(environ: Mapping[str, str], gpu_wanted: bool) -> Finding:
    """Say where the kernels would come from; their lack is a fault where a GPU is to be used."""
    missing = Verdict.FAULT if gpu_wanted else Verdict.NOTE
    spec = importlib.util.find_spec("gsplat")
    if spec is None or not spec.submodule_search_locations:
        return Finding(_NAME, missing, "gsplat is not installed")
    package = Path(next(iter(spec.submodule_search_locations)))
    named = environ.get(environment.KERNELS_DIR, "").strip()
    if named and not (Path(named) / LIBRARY).is_file():
        return Finding(
            _NAME, missing, f"{environment.KERNELS_DIR} names {named}, which holds no {LIBRARY}"
        )
    ready = Path(named) / LIBRARY if named else _compiled(package, environ)
    if ready:
        return Finding(_NAME, Verdict.OK, f"ready: {ready}")
    compiler = find_nvcc(environ)
    if compiler:
        return Finding(
            _NAME,
            Verdict.NOTE,
            f"would be compiled at start, which takes minutes, by {compiler} into "
            f"{jit_folder(environ)}",
        )
    return Finding(
        _NAME,
        missing,
        f"not compiled, and no nvcc is here to do it: install the CUDA toolkit, or set "
        f"{environment.KERNELS_DIR} to a folder with {LIBRARY}",
    )


def _compiled(package: Path, environ: Mapping[str, str]) -> Path | None:
    """Kernels compiled ahead into the package, or by an earlier run."""
    candidates = [*sorted(package.glob("csrc*.so")), jit_folder(environ) / LIBRARY]
    return next((path for path in candidates if path.is_file()), None)


def jit_folder(environ: Mapping[str, str]) -> Path:
    """The folder that PyTorch's JIT builds gsplat in (torch/utils/cpp_extension.py)."""
    root = environ.get("TORCH_EXTENSIONS_DIR", "").strip()
    if root:
        return Path(root) / "gsplat_cuda"
    torch = sys.modules.get("torch")
    cuda = torch.version.cuda if torch else None
    python = f"py{sys.version_info.major}{sys.version_info.minor}{sys.abiflags}"
    folder = f"{python}_{'cu' + cuda.replace('.', '') if cuda else 'cpu'}"
    cache = environ.get("XDG_CACHE_HOME", "").strip() or os.path.expanduser("~/.cache")  # noqa: PTH111
    return Path(cache) / "torch_extensions" / folder / "gsplat_cuda"


def find_nvcc(environ: Mapping[str, str]) -> Path | None:
    """The CUDA compiler, looked for where PyTorch does."""
    for variable in ("CUDA_HOME", "CUDA_PATH"):
        home = environ.get(variable, "").strip()
        if home and (Path(home) / "bin/nvcc").is_file():
            return Path(home) / "bin/nvcc"
    found = shutil.which("nvcc", path=environ.get("PATH")) or "/usr/local/cuda/bin/nvcc"
    return Path(found) if Path(found).is_file() else None
