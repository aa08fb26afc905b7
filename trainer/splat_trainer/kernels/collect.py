"""Which builds of a cache go when it is to be smaller: the ones used longest ago."""

from collections.abc import Collection, Sequence

from splat_trainer.kernels.ingredients import OwnIngredients
from splat_trainer.kernels.store import Entry, Store


def to_remove(entries: Sequence[Entry], limit_bytes: int, in_use: Collection[str]) -> list[str]:
    """Choose keys so that what stays is within the limit, as far as those in use allow it. Pure.

    Builds that cannot be used go first: their room is wasted. Those of our own kernels go last:
    they take a fiftieth of the room of gsplat's, and nobody tells which are in use.
    """
    over = sum(entry.bytes for entry in entries) - limit_bytes
    chosen: list[str] = []
    for entry in sorted(entries, key=_order):
        if over <= 0:
            break
        if entry.key not in in_use:
            chosen.append(entry.key)
            over -= entry.bytes
    return chosen


def _order(entry: Entry) -> tuple[bool, bool, float, str]:
    manifest = entry.manifest
    own = manifest is not None and isinstance(manifest.ingredients, OwnIngredients)
    return entry.refused is None, own, entry.last_used, entry.key


def collect(store: Store, limit_bytes: int, in_use: Collection[str]) -> tuple[str, ...]:
    """Delete what the limit wants gone; give the keys."""
    chosen = to_remove(store.entries(), limit_bytes, in_use)
    for key in chosen:
        store.remove(key)
    return tuple(chosen)
