"""Triton without a GPU: launches compile all that they would on one, and run nothing.

What is compiled is found again by Triton on a real GPU, as all that its cache's keys are made of
is the same: the launch's arguments, the kernels' text, Triton itself, and the architecture.
"""

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

LIBRARY_FOLDER = "TRITON_LIBCUDA_PATH"
"""Names the folder in which Triton finds the driver's library to link with."""

_FUNCTION = re.compile(r"\bcu[A-Z]\w*")
_MOST_SHARED_MEMORY = 1 << 30
_ATTRIBUTE = "cuFuncGetAttribute"
_ANSWER = f"int {_ATTRIBUTE}(int *number) {{ *number = 1024; return 0; }}\n"
"""Of threads in a block, which later versions of Triton ask for: what every GPU can have."""


def write_driver_library(folder: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """Write a libcuda.so.1 whose every function does nothing; gives the variables that choose it.

    What Triton compiles by C asks for the real one by this name, where it is loaded later.

    Raises:
        OSError, subprocess.CalledProcessError: there is no C compiler, or it failed.
    """
    folder.mkdir()
    source, library = folder / "nothing.c", folder / "libcuda.so.1"
    names = sorted(set(_FUNCTION.findall(_text_of_triton())) - {_ATTRIBUTE})
    silent = "".join(f"int {name}(void) {{ return 0; }}\n" for name in names)
    source.write_text(_ANSWER + silent)
    path = environ.get("PATH")
    found = (shutil.which(name, path=path) for name in ("gcc", "clang", "cc"))
    compiler = environ.get("CC") or next(filter(None, found), "cc")
    command = [compiler, "-shared", "-fPIC", "-Wl,-soname,libcuda.so.1", "-o", str(library)]
    subprocess.run([*command, str(source)], check=True, capture_output=True, timeout=60)
    (folder / "libcuda.so").symlink_to(library.name)
    others = environ.get("LD_LIBRARY_PATH", "")
    return {
        LIBRARY_FOLDER: str(folder),
        "LD_LIBRARY_PATH": f"{folder}{os.pathsep}{others}" if others else str(folder),
        "CUDA_VISIBLE_DEVICES": "",
    }


def compile_for(architecture: int) -> None:
    """Have launches of this process compile for an architecture, such as 90, and not run.

    The process must have been started with the variables of `write_driver_library`.
    """
    from triton.backends.compiler import GPUTarget  # noqa: PLC0415 - where Triton is installed
    from triton.backends.nvidia.driver import CudaDriver  # noqa: PLC0415
    from triton.runtime import driver  # noqa: PLC0415

    active: Any = CudaDriver()
    active.get_current_target = lambda: GPUTarget("cuda", architecture, 32)
    active.get_current_device = lambda: architecture  # what was compiled is kept by device
    active.get_current_stream = lambda device: 0
    active.utils.get_device_properties = lambda device: {"max_shared_mem": _MOST_SHARED_MEMORY}
    driver.set_active(active)


def _text_of_triton() -> str:
    """The sources that call the driver."""
    spec = importlib.util.find_spec("triton")
    folders = (spec.submodule_search_locations if spec else None) or []
    found = [Path(one) / "backends" / "nvidia" for one in folders]
    paths = [path for one in found for path in (one / "driver.c", one / "driver.py")]
    return "\n".join(path.read_text(encoding="utf-8") for path in paths if path.is_file())
