"""The compilers: where nvcc is, which versions they have, how many run at once."""

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from splat_trainer.capture.cores import usable_cores
from splat_trainer.capture.memory import available_bytes
from splat_trainer.contract import Reason, TrainerError

_BYTES_A_JOB = 2 << 30
"""More than one nvcc takes for gsplat, whose architectures it compiles one after the other."""

_MOST_JOBS = 16

_VERSION = re.compile(r"release [0-9.]+, V([0-9.]+)")


@dataclass(frozen=True)
class Toolchain:
    """Compilers that were found."""

    cuda_home: Path | None
    """The CUDA toolkit; None where only a C++ compiler is needed."""
    cxx: Path
    identity: str
    """The versions, as they go into the key."""

    def environment(self, environ: Mapping[str, str]) -> dict[str, str]:
        """The variables of a process that compiles."""
        found = dict(environ)
        if self.cuda_home:
            found["CUDA_HOME"] = str(self.cuda_home)
            found["PATH"] = f"{self.cuda_home / 'bin'}{os.pathsep}{found.get('PATH', '')}"
        return found


def find_toolchain(environ: Mapping[str, str], *, cuda: bool) -> Toolchain:
    """Find what compiles an extension.

    Raises:
        TrainerError: KernelsNotCompiled, where a compiler is missing.
    """
    home = find_cuda_home(environ) if cuda else None
    if cuda and home is None:
        raise TrainerError(
            Reason.KERNELS_NOT_COMPILED,
            "there is no nvcc to compile the CUDA kernels: install the CUDA toolkit and set "
            "CUDA_HOME, or load kernels that are compiled already",
        )
    name = environ.get("CXX", "").strip() or "c++"
    cxx = shutil.which(name, path=environ.get("PATH"))
    if cxx is None:
        raise TrainerError(
            Reason.KERNELS_NOT_COMPILED,
            f"there is no C++ compiler {name!r} to compile the CUDA kernels: install g++",
        )
    versions = [f"c++ {_first_line(cxx, '-dumpfullversion', '-dumpversion')}"]
    if home:
        said = _output(str(home / "bin" / "nvcc"), "--version")
        match = _VERSION.search(said)
        versions.insert(0, f"nvcc {match[1] if match else 'unknown'}")
    return Toolchain(home, Path(cxx), ", ".join(versions))


def find_cuda_home(environ: Mapping[str, str]) -> Path | None:
    """Find the CUDA toolkit: CUDA_HOME, the PATH, its usual place, or nvcc's wheels of PyPI."""
    for variable in ("CUDA_HOME", "CUDA_PATH"):
        named = environ.get(variable, "").strip()
        if named and _has_nvcc(Path(named)):
            return Path(named)
    on_path = shutil.which("nvcc", path=environ.get("PATH"))
    if on_path:
        return Path(on_path).resolve().parent.parent
    return next(filter(_has_nvcc, (Path("/usr/local/cuda"), *_wheels())), None)


def jobs(environ: Mapping[str, str]) -> int:
    """How many compilers may run at once, by cores and memory; MAX_JOBS says otherwise."""
    asked = environ.get("MAX_JOBS", "").strip()
    if asked.isdigit() and int(asked) > 0:
        return int(asked)
    memory = available_bytes()
    by_memory = _MOST_JOBS if memory is None else memory // _BYTES_A_JOB
    return max(1, min(usable_cores(), by_memory, _MOST_JOBS))


def _wheels() -> list[Path]:
    """Toolkits that pip installed: nvidia-cuda-nvcc lies in nvidia/cu13 of site-packages."""
    spec = importlib.util.find_spec("nvidia")
    folders = spec.submodule_search_locations if spec else None
    return sorted((p for f in folders or () for p in Path(f).glob("cu[0-9]*")), reverse=True)


def _has_nvcc(home: Path) -> bool:
    return os.access(home / "bin" / "nvcc", os.X_OK)


def _first_line(*command: str) -> str:
    return next(iter(_output(*command).splitlines()), "unknown")


def _output(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout
