"""Fills Triton's cache from a build of our own kernels, before the first of them is launched.

Triton loads what it finds in its cache unverified, so that cache is this user's alone
(places.py): what comes into it was compared with the manifest of a build. Where there is no build
that fits, or it is damaged, Triton compiles.
"""

import functools
import logging
import os
from collections.abc import Mapping
from pathlib import Path

from splat_trainer.kernels import places
from splat_trainer.kernels.architectures import Capability, native_to
from splat_trainer.kernels.ingredients import OwnIngredients
from splat_trainer.kernels.manifest import RefusedError, verified_archive
from splat_trainer.kernels.own.archive import ArchiveError, unpack
from splat_trainer.kernels.own.identity import own_ingredients
from splat_trainer.kernels.own.wake import wake_triton
from splat_trainer.kernels.store import Store

logger = logging.getLogger(__name__)


@functools.cache
def fill_for_this_gpu() -> str | None:
    """Fill the cache of this process; gives the build's key, or None. The first call does it."""
    import torch  # noqa: PLC0415 - seconds

    if not torch.cuda.is_available():
        return None
    wake_triton().join()
    try:
        return fill(os.environ, torch.cuda.get_device_capability())
    except Exception as error:  # the kernels are then compiled, as without a cache
        logger.warning("Triton's cache was not filled: %s", error)
        return None


def fill(environ: Mapping[str, str], gpu: Capability) -> str | None:
    """Unpack the first sound build that fits into TRITON_CACHE_DIR; gives its key.

    Raises:
        OSError: Triton's cache cannot be written.
    """
    cache = environ.get("TRITON_CACHE_DIR", "").strip()
    wanted = own_ingredients([native_to(gpu)])
    if not cache or wanted is None:
        return None
    named = places.named_store(environ)
    private = places.private_folder(environ) / "kernels"
    for root in (*([named] if named else []), places.image_store(), private):
        for entry in Store(root).entries():
            if entry.manifest is None or not _fits(entry.manifest.ingredients, wanted):
                continue
            try:
                kernels = unpack(verified_archive(entry.folder, entry.manifest), Path(cache))
            except (RefusedError, ArchiveError) as refusal:
                logger.warning("kernels passed over: %s: %s", entry.key, refusal)
                continue
            logger.debug("%d kernels of our own from %s", kernels, entry.key)
            return entry.key
    return None


def _fits(ingredients: object, wanted: OwnIngredients) -> bool:
    """Tell whether a build is of these kernels, for a GPU of this very architecture."""
    return (
        isinstance(ingredients, OwnIngredients)
        and set(wanted.architectures) <= set(ingredients.architectures)
        and ingredients.model_copy(update={"architectures": wanted.architectures}) == wanted
    )
