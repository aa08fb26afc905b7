"""Which build of our own kernels is the one of this trainer, in this process."""

import functools
import hashlib
import importlib.util
import sysconfig
from collections.abc import Iterable
from pathlib import Path

from splat_trainer.kernels.ingredients import OwnIngredients

_TRAINER = Path(__file__).parents[2]
_KERNEL = b"\n@triton.jit"


def own_ingredients(architectures: Iterable[str]) -> OwnIngredients | None:
    """Say what our own kernels are made of; None where Triton is not installed.

    `architectures` are as `kernels build` takes them: Triton makes machine code alone, so that
    9.0+PTX is 9.0.
    """
    if importlib.util.find_spec("triton") is None:
        return None
    import triton  # noqa: PLC0415 - it may be missing

    return OwnIngredients(
        own_sources_sha256=_sources_sha256(),
        triton=str(triton.__version__),
        python=str(sysconfig.get_config_var("SOABI")),
        architectures=tuple(dict.fromkeys(machine_code_for(one) for one in architectures)),
    )


def machine_code_for(architecture: str) -> str:
    """Drop what an architecture says beyond its number."""
    return architecture.partition("+")[0].rstrip("af")


@functools.cache
def _sources_sha256() -> str:
    """A digest of every module with a kernel, with its name."""
    digest = hashlib.sha256()
    for path in sorted(_TRAINER.rglob("*.py")):
        content = path.read_bytes()
        if _KERNEL in content:
            for part in (str(path.relative_to(_TRAINER)).encode(), content):
                digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()
