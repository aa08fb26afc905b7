"""Where kernels are looked for, and where what this process compiles may be kept."""

import functools
import os
import sys
import tempfile
from collections.abc import Mapping, MutableMapping
from pathlib import Path

from splat_trainer.contract import environment

_OTHER_CACHES = {
    "TRITON_CACHE_DIR": "triton",
    "TORCHINDUCTOR_CACHE_DIR": "inductor",
    "CUDA_CACHE_PATH": "cuda",
}
"""Caches of other compilers, by the variables that name their folders. Their writers trust a
folder to be of one machine and one user (CUDA's driver locks files in it, Triton and inductor
load what they find there unverified), so they are never put on a shared volume. Triton's is filled
from one, with what was verified (own/fill.py)."""


def image_store() -> Path:
    """The builds that an image brings, compiled when it was made."""
    return Path(sys.prefix) / "kernels"


def named_store(environ: Mapping[str, str]) -> Path | None:
    """The folder that SPLAT_KERNELS_DIR names."""
    named = environ.get(environment.KERNELS_DIR, "").strip()
    return Path(named) if named else None


def private_folder(environ: Mapping[str, str]) -> Path:
    """This user's own folder for what can be made again; a new one where there is no home."""
    named = environ.get("XDG_CACHE_HOME", "").strip()
    cache = named if named.startswith("/") else f"{environ.get('HOME') or '/'}/.cache"
    return _writable_folder(Path(cache) / "splat-trainer")


@functools.cache
def _writable_folder(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError:
        pass
    else:
        if os.access(folder, os.W_OK | os.X_OK):
            return folder
    return Path(tempfile.mkdtemp(prefix="splat-trainer-"))


def keep_other_caches_private(environ: MutableMapping[str, str]) -> None:
    """Give Triton, inductor and CUDA's driver folders that nobody else writes; before any starts.

    Folders that are named already stay.
    """
    wanted = [name for name in _OTHER_CACHES if not environ.get(name, "").strip()]
    if wanted:
        folder = private_folder(environ)
        for name in wanted:
            environ[name] = str(folder / _OTHER_CACHES[name])
