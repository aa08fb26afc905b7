"""`status.gpuSeconds`: how long a training's pods held GPUs.

The pods follow one another, so all that was held before a moment can be counted once and for all:
`gpuSecondsUntil` is that moment, and pods that are gone need not be remembered.
"""

from datetime import UTC, datetime
from typing import Any

from splat_operator.decide.shown import shown_time
from splat_operator.world import World
from splat_operator.world.fields import integer, moment

_LONG_AGO = datetime.min.replace(tzinfo=UTC)


def gpu_seconds(world: World, now: datetime | None = None) -> dict[str, Any]:
    """Give both fields; with `now`, pods that still run are counted up to now."""
    written, spec = world.training.status, world.training.spec
    gpus = spec.resources.gpus if spec else 0
    if not gpus:
        return {}
    total = integer(written.get("gpuSeconds"))
    until = moment(written.get("gpuSecondsUntil")) or _LONG_AGO
    for pod in world.pods:
        ended = pod.termination.finished_at if pod.termination else None
        held_to = ended or (None if pod.ended else now)
        if pod.placed_at is None or held_to is None or held_to <= until:
            continue
        held_to = held_to.replace(microsecond=0)
        total += gpus * max(0, round((held_to - max(pod.placed_at, until)).total_seconds()))
        until = max(until, held_to)
    return {} if until == _LONG_AGO else {"gpuSeconds": total, "gpuSecondsUntil": shown_time(until)}
