"""`status.kernels`: which kernels a training's pods took, by their own word."""

from typing import Any

from splat_operator.decide.ending import result_of
from splat_operator.decide.shown import shown_count, shown_message, shown_number
from splat_operator.world import World
from splat_operator.world.fields import mapping
from splat_trainer.contract import KernelsSource

_KEY_LIMIT = 128
_REFUSED_LIMIT = 1000


def kernels_used(world: World) -> dict[str, Any] | None:
    """Give what the newest pod that told of its kernels said; None where none did."""
    told = [result.kernels for result in map(result_of, world.pods) if result and result.kernels]
    if not told:
        return None
    use = told[-1]
    shown: dict[str, Any] = {
        "source": use.source.value,
        "seconds": shown_number(use.seconds, 2),
    }
    if use.key:
        shown["key"] = shown_message(use.key)[:_KEY_LIMIT]
    if use.refused:
        shown["refused"] = shown_message(use.refused)[:_REFUSED_LIMIT]
    if use.source is KernelsSource.CACHE:
        saved = _seconds_saved(world, use.key, use.seconds)
        if saved is not None:
            shown["secondsSaved"] = saved
    return {name: value for name, value in shown.items() if value is not None}


def _seconds_saved(world: World, key: str | None, seconds: float) -> int | None:
    """What the cache's own build of these kernels took, less what loading them took."""
    for warm_up in world.kernels.warm_ups.values():
        document = warm_up.document
        if document and document.key == key and document.build_seconds is not None:
            return shown_count(document.build_seconds - seconds)
    # The Job may be gone meanwhile; what it told before stays.
    written = mapping(world.training.status, "kernels")
    saved = written.get("secondsSaved") if written.get("key") == key else None
    return saved if isinstance(saved, int) else None
