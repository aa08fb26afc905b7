"""Which of the builds that are at hand this process loads: the first that fits and is sound."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from splat_trainer.contract import KernelsSource
from splat_trainer.kernels.architectures import Capability, native_to, run_on
from splat_trainer.kernels.extension import LIBRARY
from splat_trainer.kernels.ingredients import Ingredients, Runtime
from splat_trainer.kernels.manifest import Manifest, RefusedError
from splat_trainer.kernels.store import Entry, Store


@dataclass(frozen=True)
class Found:
    """Kernels to load."""

    library: Path
    source: KernelsSource
    key: str | None


class Search:
    """Goes through stores; `refusals` tells why what was there was not given."""

    def __init__(self, runtime: Runtime, gpu: Capability | None) -> None:
        self._runtime = runtime
        self._gpu = gpu
        self.refusals: list[str] = []

    def through(self, root: Path, source: KernelsSource) -> Iterator[Found]:
        """Give the builds of one store that can be loaded, the best first; each is verified."""
        bare = root / LIBRARY
        if bare.is_file():
            yield Found(bare, KernelsSource.FOLDER, None)
        store = Store(root)
        fitting = [entry for entry in store.entries() if self._fits(entry)]
        for entry in sorted(fitting, key=self._preference):
            try:
                store.verified(entry.key)
            except RefusedError as refusal:
                self.refusals.append(f"{entry.key}: {refusal}")
                continue
            yield Found(entry.folder / LIBRARY, source, entry.key)

    def why_not(self) -> str:
        """Say in a line why nothing could be taken."""
        what = f"for compute capability {native_to(self._gpu)}" if self._gpu else "for this image"
        return "; ".join(self.refusals[:3]) or f"it has none {what}"

    def _fits(self, entry: Entry) -> bool:
        if entry.manifest is None:
            self.refusals.append(f"{entry.key}: {entry.refused}")
            return False
        made_of = entry.manifest.ingredients
        if not isinstance(made_of, Ingredients) or made_of.misfit(self._runtime):
            return False  # of our own kernels, or of another image, which is no fault
        return self._gpu is None or run_on(made_of.architectures, self._gpu)

    def _preference(self, entry: Entry) -> tuple[bool, float]:
        """Machine code of this very GPU before what its driver would have to compile."""
        return (not self._is_native(entry.manifest), -entry.last_used)

    def _is_native(self, manifest: Manifest | None) -> bool:
        if manifest is None or self._gpu is None:
            return False
        named = {a.partition("+")[0] for a in manifest.ingredients.architectures}
        return native_to(self._gpu) in named
