"""The CUDA sources, gsplat's as they are installed and our own, and how they are compiled.

Both make one library, by gsplat's own way (its cuda/_backend.py).
"""

import hashlib
import importlib.metadata
import importlib.util
import os
import sysconfig
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from splat_trainer.contract import Reason, TrainerError
from splat_trainer.kernels.ingredients import Runtime

LIBRARY_NAME = "gsplat_cuda"
"""The extension module, as gsplat names it for PyTorch's JIT."""

LIBRARY = f"{LIBRARY_NAME}.so"

OPERATORS = ("blend", "blend_backward", "project", "project_backward", "sort_pairs")
"""What our own sources put into torch.ops.splat."""

_OUR_OWN = Path(__file__).parent / "cuda"

_HEADERS = frozenset({".h", ".hpp", ".cuh", ".inl"})
_SOURCES = frozenset({".cu", ".cpp"})


@dataclass(frozen=True)
class Extension:
    """An installed package with sources of kernels."""

    package: Path
    """The folder of the package `gsplat`."""
    version: str

    @cached_property
    def sources(self) -> tuple[Path, ...]:
        """The files that are compiled, gsplat's before ours, each sorted.

        Ours want nvcc, and so go only with a package that wants it for its own.
        """
        folder = self.package / "cuda"
        found = [p for p in (folder / "csrc").glob("*") if p.suffix in _SOURCES]
        ours = [p for p in _OUR_OWN.glob("*") if p.suffix in _SOURCES]
        wants_nvcc = any(p.suffix == ".cu" for p in found)
        return (*sorted(found), folder / "ext.cpp", *(sorted(ours) if wants_nvcc else ()))

    @property
    def include_folders(self) -> tuple[Path, ...]:
        """Where the sources' headers are."""
        folder = self.package / "cuda"
        return (folder / "include", folder / "csrc" / "third_party" / "glm")

    @property
    def cflags(self) -> tuple[str, ...]:
        """Flags of the C++ compiler."""
        return ("-O3", "-Wno-attributes")

    @property
    def cuda_cflags(self) -> tuple[str, ...]:
        """Flags of nvcc; NO_FAST_MATH=1 is gsplat's own switch."""
        exact = os.environ.get("NO_FAST_MATH", "0") == "1"
        return ("-O3",) if exact else ("-O3", "-use_fast_math")

    @cached_property
    def sources_sha256(self) -> str:
        """A digest of every source and header, with its name."""
        folder = self.package / "cuda"
        digest = hashlib.sha256()
        glm = folder / "csrc" / "third_party" / "glm" / "glm"  # without its tests and its manual
        found = [*folder.glob("*"), *folder.glob("*/*"), *glm.rglob("*")]
        wanted = _SOURCES | _HEADERS
        for root, paths in ((folder, found), (_OUR_OWN, _OUR_OWN.glob("*"))):
            for path in sorted({p for p in paths if p.suffix in wanted}):
                content = path.read_bytes()
                for part in (str(path.relative_to(root)).encode(), content):
                    digest.update(len(part).to_bytes(8, "big") + part)
        return digest.hexdigest()


def installed_gsplat() -> Extension:
    """Find gsplat without importing it: its import would compile it.

    Raises:
        TrainerError: KernelsNotCompiled, where it is not installed.
    """
    spec = importlib.util.find_spec("gsplat")
    if spec is None or not spec.submodule_search_locations:
        raise TrainerError(
            Reason.KERNELS_NOT_COMPILED,
            "gsplat is not installed, whose sources the CUDA kernels are: take an image for GPUs, "
            "or pip install gsplat",
        )
    package = Path(next(iter(spec.submodule_search_locations)))
    return Extension(package, importlib.metadata.version("gsplat"))


def runtime_here(extension: Extension) -> Runtime:
    """Say what kernels must be built for to be loaded into this process."""
    import torch  # noqa: PLC0415 - seconds

    return Runtime(
        extension="gsplat",
        version=extension.version,
        sources_sha256=extension.sources_sha256,
        torch=str(torch.__version__),
        torch_git=torch.version.git_version or "",
        cxx11_abi=torch.compiled_with_cxx11_abi(),
        cuda=torch.version.cuda or "none",
        python=str(sysconfig.get_config_var("SOABI")),
        flags=(*extension.cflags, *extension.cuda_cflags),
    )
