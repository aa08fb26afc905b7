"""Builds of kernels for tests of the cache: real files, no compiler."""

from pathlib import Path

from splat_trainer.kernels.extension import LIBRARY
from splat_trainer.kernels.ingredients import Ingredients, Runtime
from splat_trainer.kernels.manifest import Manifest
from splat_trainer.kernels.store import Store

RUNTIME = Runtime(
    extension="gsplat",
    version="1.5.3",
    sources_sha256="0" * 64,
    torch="2.6.0",
    torch_git="",
    cxx11_abi=True,
    cuda="12.6",
    python="cpython-312-x86_64-linux-gnu",
    flags=("-O3",),
)


def ingredients(*architectures: str, torch: str = "2.6.0") -> Ingredients:
    runtime = RUNTIME.model_copy(update={"torch": torch})
    return Ingredients.of(runtime, architectures or ("9.0",), "nvcc 12.6, c++ 13")


def put(
    store: Store, scratch: Path, of: Ingredients | None = None, content: bytes = b"kernels"
) -> Manifest:
    """Put a build into a store, as a builder does when it has compiled."""
    scratch.mkdir(parents=True, exist_ok=True)
    library = scratch / LIBRARY
    library.write_bytes(content)
    store.root.mkdir(parents=True, exist_ok=True)
    return store.put(of or ingredients(), [library], 1.5)
