"""Puts our own kernels for named GPUs into a cache, once for all who ask for them."""

import logging
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from splat_trainer.contract import Reason, TrainerError
from splat_trainer.contract.failure import shown
from splat_trainer.kernels.compile import LOG
from splat_trainer.kernels.ingredients import OwnIngredients
from splat_trainer.kernels.manifest import Manifest
from splat_trainer.kernels.own.archive import ARCHIVE, pack
from splat_trainer.kernels.own.identity import own_ingredients
from splat_trainer.kernels.own.no_gpu import write_driver_library
from splat_trainer.kernels.single_flight import SingleFlight
from splat_trainer.kernels.store import Store

logger = logging.getLogger(__name__)

_LONGEST_SECONDS = 1200


def build_own_kernels(
    store: Store, architectures: tuple[str, ...], compiler: str, environ: Mapping[str, str]
) -> tuple[Manifest, bool]:
    """Compile into a store that can be written, or wait for the process that does.

    `compiler` is the module that compiles what it is told to (train/compile_own_kernels.py).
    Gives the build, and whether this process made it.

    Raises:
        TrainerError: nothing could be compiled.
        OSError: the store cannot be written.
    """
    ingredients = own_ingredients(architectures)
    if ingredients is None:
        raise TrainerError(Reason.KERNELS_NOT_COMPILED, "Triton is not installed")
    flight = SingleFlight(store, ingredients.key)
    manifest, built = flight.obtain(lambda: _compile_into(store, ingredients, compiler, environ))
    if not built:
        store.touch(manifest.key)
    return manifest, built


def _compile_into(
    store: Store, ingredients: OwnIngredients, compiler: str, environ: Mapping[str, str]
) -> Manifest:
    started = time.monotonic()
    numbers = [architecture.replace(".", "") for architecture in ingredients.architectures]
    with tempfile.TemporaryDirectory(prefix="own-kernels-") as scratch:
        folder = Path(scratch)
        cache, archive, log = folder / "cache", folder / ARCHIVE, folder / LOG
        try:
            surroundings = write_driver_library(folder / "driver", environ)
            done = subprocess.run(
                [sys.executable, "-m", compiler, *numbers],
                env={
                    **environ,
                    **surroundings,
                    "TRITON_CACHE_DIR": str(cache),
                    "TMPDIR": scratch,
                    "HOME": scratch,
                },
                capture_output=True,
                text=True,
                errors="replace",
                check=False,
                timeout=_LONGEST_SECONDS,
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise _failure(str(error)) from None
        for line in done.stdout.splitlines():
            logger.warning("left out of the kernels: %s", shown(line))
        log.write_text(f"{done.stdout}{done.stderr}", encoding="utf-8")
        kernels = pack(cache, archive)
        if done.returncode or not kernels:
            lines = f"{done.stdout}{done.stderr}".strip().splitlines()
            raise _failure(lines[-1] if lines else f"code {done.returncode}")
        seconds = time.monotonic() - started
        logger.info(
            "compiled %d kernels of our own for %s in %.0f s",
            kernels,
            " ".join(ingredients.architectures),
            seconds,
        )
        return store.put(ingredients, [archive, log], seconds)


def _failure(why: str) -> TrainerError:
    return TrainerError(
        Reason.KERNELS_NOT_COMPILED, f"our own kernels did not compile: {shown(why)}"
    )
