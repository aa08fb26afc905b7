"""Makes gsplat's CUDA kernels ready for a training: loaded if they are anywhere, else compiled.

In this order: the cache that SPLAT_KERNELS_DIR names, the image's own builds, kernels that are
compiled into the installed package, this user's own builds. A build that is damaged or does not
fit is passed over, never loaded. What has to be compiled goes into the named cache if it can be
written, else where only this user can write.
"""

import logging
import os
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import get_args

from splat_trainer.contract import (
    KernelsSource,
    KernelsUse,
    Reason,
    TrainerError,
    environment,
)
from splat_trainer.contract.failure import shown
from splat_trainer.contract.kernels import OnMiss
from splat_trainer.kernels import places
from splat_trainer.kernels.architectures import Capability, native_to
from splat_trainer.kernels.build import Builder
from splat_trainer.kernels.extension import LIBRARY, installed_gsplat, runtime_here
from splat_trainer.kernels.find import Found, Search
from splat_trainer.kernels.load import MODULE, install, load_library
from splat_trainer.kernels.store import Store

logger = logging.getLogger(__name__)

_WHY_LENGTH = 300
"""Of what the result document, which is small, is told of a cache that was passed over."""

_used: KernelsUse | None = None


def kernels_used() -> KernelsUse | None:
    """The kernels that this process has loaded; None where it has not."""
    return _used


def load_kernels() -> KernelsUse | None:
    """Load gsplat's kernels, if they are anywhere; None where they have to be compiled first.

    Raises:
        TrainerError: KernelsNotFound, where nothing may be compiled.
    """
    return _kernels(may_compile=False)


def ensure_kernels() -> KernelsUse:
    """Load or compile gsplat's kernels; the first call does it, later ones return at once.

    Raises:
        TrainerError: KernelsNotFound, KernelsNotCompiled, or what keeps them from being kept.
    """
    use = _kernels(may_compile=True)
    assert use  # noqa: S101 - compiled, if nothing else
    return use


def _kernels(*, may_compile: bool) -> KernelsUse | None:
    global _used  # noqa: PLW0603 - a process loads its kernels once
    if _used is None:
        started = time.monotonic()
        use = _make_ready(os.environ, may_compile=may_compile)
        if use is None:
            return None
        _used = use.model_copy(update={"seconds": round(time.monotonic() - started, 3)})
        logger.info("CUDA kernels: %s, %.1f s", _told(_used), _used.seconds)
    return _used


def on_miss(environ: Mapping[str, str]) -> OnMiss:
    """Read what to do where there are no kernels."""
    asked = environ.get(environment.KERNELS_ON_MISS, "").strip() or "compile"
    for choice in get_args(OnMiss):
        if asked == choice:
            known: OnMiss = choice
            return known
    raise TrainerError(
        Reason.INVALID_CONFIGURATION,
        f"{environment.KERNELS_ON_MISS} is {shown(asked)}: give {' or '.join(get_args(OnMiss))}",
    )


def find_kernels(search: Search, environ: Mapping[str, str]) -> Iterator[Found]:
    """Give what could be loaded, the best first."""
    named = places.named_store(environ)
    if named:
        yield from search.through(named, KernelsSource.CACHE)
    yield from search.through(places.image_store(), KernelsSource.IMAGE)
    for library in sorted(installed_gsplat().package.glob("csrc*.so")):
        yield Found(library, KernelsSource.IMAGE, None)
    yield from search.through(places.private_folder(environ) / "kernels", KernelsSource.CACHE)


def _make_ready(environ: Mapping[str, str], *, may_compile: bool) -> KernelsUse | None:
    if MODULE in sys.modules:  # whoever started this process has loaded them
        return KernelsUse(source=KernelsSource.FOLDER, seconds=0)
    policy = on_miss(environ)
    gpu = _gpu()
    search = Search(runtime_here(installed_gsplat()), gpu)
    for found in find_kernels(search, environ):
        if _loads(found.library, search.refusals):
            return KernelsUse(source=found.source, key=found.key, seconds=0)
    if policy == "compile" and not may_compile:
        return None
    named = places.named_store(environ)
    why = f"{named} was passed over: {search.why_not()}"[:_WHY_LENGTH] if named else None
    for refusal in search.refusals:
        logger.warning("kernels passed over: %s", refusal)
    if policy == "fail":
        raise TrainerError(
            Reason.KERNELS_NOT_FOUND,
            f"{why or 'there are no compiled kernels here'}, and "
            f"{environment.KERNELS_ON_MISS} says not to compile: run `splat-trainer kernels build`",
        )
    return _compile(gpu, environ, why)


def _compile(gpu: Capability | None, environ: Mapping[str, str], why: str | None) -> KernelsUse:
    if gpu is None:
        raise TrainerError(Reason.NO_GPU, "there is no GPU to compile CUDA kernels for")
    logger.info("%s: compiling the CUDA kernels here", why or "no compiled kernels found")
    builder = Builder((native_to(gpu),), environ)
    named = places.named_store(environ)
    store = Store(named) if named else None
    if store is None or not store.writable():
        store = Store(places.private_folder(environ) / "kernels")
    key = builder.into(store).manifest.key
    install(load_library(store.folder(key) / LIBRARY))
    return KernelsUse(source=KernelsSource.COMPILED, key=key, seconds=0, refused=why)


def _loads(library: Path, refusals: list[str]) -> bool:
    try:
        install(load_library(library))
    except TrainerError as error:
        refusals.append(error.message)
        return False
    return True


def _gpu() -> Capability | None:
    import torch  # noqa: PLC0415 - seconds

    return torch.cuda.get_device_capability() if torch.cuda.is_available() else None


def _told(use: KernelsUse) -> str:
    from_ = {
        KernelsSource.CACHE: "from the cache",
        KernelsSource.IMAGE: "of the image",
        KernelsSource.FOLDER: "from the named folder",
        KernelsSource.COMPILED: "compiled here",
    }
    return f"{from_[use.source]}{f', {use.key}' if use.key else ''}"
