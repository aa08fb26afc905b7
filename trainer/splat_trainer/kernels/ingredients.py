"""What compiled kernels are made of: all that decides their content, and so their key.

Two builds with equal ingredients are interchangeable; with others, the object may not load, or
worse, load and compute wrongly.
"""

import hashlib
import json
import re
from typing import Self, TypeAlias

from pydantic import Field

from splat_trainer.contract.kernels import KEY_DIGITS
from splat_trainer.contract.model import Document


class Runtime(Document):
    """What kernels need to be loaded: what is true of the process that loads them."""

    extension: str = Field(max_length=64, description="Distribution with the sources: gsplat.")
    version: str = Field(max_length=64)
    sources_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    torch: str = Field(max_length=128)
    torch_git: str = Field(max_length=64, description="PyTorch's commit, empty if not told.")
    cxx11_abi: bool
    cuda: str = Field(max_length=32, description="That PyTorch was built for, or none.")
    python: str = Field(max_length=64, description="Binary interface: cpython-312-x86_64-...")
    flags: tuple[str, ...] = Field(max_length=64, description="Of the compilers.")


class Ingredients(Document):
    """All that decides what a build makes."""

    runtime: Runtime
    architectures: tuple[str, ...] = Field(max_length=32)
    compiler: str = Field(max_length=256, description="nvcc's and the C++ compiler's versions.")

    @property
    def key(self) -> str:
        """The content key: the name of the folder that holds the build."""
        return f"{self.runtime.extension}-{self.runtime.version}-{_digest(self)}".lower()

    @classmethod
    def of(cls, runtime: Runtime, architectures: tuple[str, ...], compiler: str) -> Self:
        """Join what is loaded into, what is compiled for, and what compiles."""
        return cls(runtime=runtime, architectures=architectures, compiler=compiler[:256])

    def misfit(self, runtime: Runtime) -> str | None:
        """Say in what these kernels differ from what a process can load; None if in nothing."""
        for name in Runtime.model_fields:
            ours, theirs = getattr(runtime, name), getattr(self.runtime, name)
            if ours != theirs:
                return f"built for {name} {theirs}, here is {ours}"
        return None


class OwnIngredients(Document):
    """All that decides what our own Triton kernels, compiled, are good for.

    Triton's cache knows more exactly what fits: what this leaves out costs time, never more.
    """

    own_sources_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    triton: str = Field(max_length=64)
    python: str = Field(max_length=64, description="Binary interface: cpython-312-x86_64-...")
    architectures: tuple[str, ...] = Field(max_length=32)

    @property
    def key(self) -> str:
        """The content key: the name of the folder that holds the build."""
        version = re.sub(r"[^a-z0-9.+-]", "-", self.triton.lower())
        return f"triton-{version}-{_digest(self)}"


AnyIngredients: TypeAlias = Ingredients | OwnIngredients


def _digest(ingredients: AnyIngredients) -> str:
    text = json.dumps(ingredients.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:KEY_DIGITS]
