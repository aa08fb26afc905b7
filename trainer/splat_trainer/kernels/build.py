"""Puts gsplat's kernels for named GPUs into a cache, once for all who ask for them."""

import logging
import os
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from splat_trainer.contract import Reason, TrainerError
from splat_trainer.kernels.compile import compile_extension
from splat_trainer.kernels.extension import Extension, installed_gsplat, runtime_here
from splat_trainer.kernels.ingredients import Ingredients
from splat_trainer.kernels.lease import Timing
from splat_trainer.kernels.manifest import Manifest
from splat_trainer.kernels.single_flight import SingleFlight
from splat_trainer.kernels.store import Store
from splat_trainer.kernels.toolchain import Toolchain, find_toolchain

logger = logging.getLogger(__name__)

_TELL_EVERY_SECONDS = 10.0


@dataclass(frozen=True)
class Build:
    """A build that is in the cache."""

    manifest: Manifest
    built: bool
    """Whether this process compiled it."""
    healed: str | None
    """What was wrong with the build that this one replaced, or would have."""


class Builder:
    """What one process would compile, and with what."""

    def __init__(self, architectures: tuple[str, ...], environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._extension: Extension = installed_gsplat()
        self.for_gpus = any(path.suffix == ".cu" for path in self._extension.sources)
        self._toolchain: Toolchain = find_toolchain(environ, cuda=self.for_gpus)
        self.ingredients = Ingredients.of(
            runtime_here(self._extension), architectures, self._toolchain.identity
        )

    def into(self, store: Store, timing: Timing | None = None) -> Build:
        """Compile into a store, or wait for the process that does.

        Raises:
            TrainerError: the store cannot be written, or the compiler failed (CompileError here,
                where it failed in a process that was waited for, with that one's words).
        """
        if not store.writable():
            raise TrainerError(
                Reason.STORAGE_DENIED,
                f"{store.root} cannot be written by user {os.getuid()}: a cache of kernels is "
                "filled where it is mounted to be written",
            )
        flight = SingleFlight(store, self.ingredients.key, timing)
        manifest, built = flight.obtain(lambda: self._compile_into(store))
        if not built:
            store.touch(manifest.key)
        return Build(manifest, built, flight.refusal)

    def _compile_into(self, store: Store) -> Manifest:
        with tempfile.TemporaryDirectory(prefix="kernels-") as scratch:
            compiled = compile_extension(
                self._extension,
                self.ingredients.architectures,
                self._toolchain,
                Path(scratch),
                self._environ,
                _Teller(),
            )
            logger.info("compiled in %.0f s", compiled.seconds)
            return store.put(self.ingredients, [compiled.library, compiled.log], compiled.seconds)


class _Teller:
    """Logs how far compiling is, now and then."""

    def __init__(self) -> None:
        self._told = time.monotonic()

    def __call__(self, done: int, total: int) -> None:
        if done == total or time.monotonic() - self._told >= _TELL_EVERY_SECONDS:
            self._told = time.monotonic()
            logger.info("compiling: %d of %d", done, total)
