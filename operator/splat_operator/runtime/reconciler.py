"""One reconcile: what is seen, the decision, what comes of it."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from splat_operator.act import Actor, ApiError
from splat_operator.api import ConditionType, Phase
from splat_operator.decide import CreateJob, CreateWarmUp, Decision, decide, podless_job
from splat_operator.runtime.keys import Key
from splat_operator.runtime.metrics import Metrics
from splat_operator.runtime.seeing import Seeing
from splat_operator.runtime.store import Store
from splat_operator.world import Installation, Trouble, World

logger = logging.getLogger(__name__)


class Reconciler:
    """Brings one training at a time to what it should be."""

    def __init__(
        self,
        store: Store,
        actor: Actor,
        installation: Callable[[], Installation],
        metrics: Metrics,
    ) -> None:
        """`installation` is asked each time: certificates change."""
        self._store = store
        self._seeing = Seeing(store)
        self._actor = actor
        self._installation = installation
        self._metrics = metrics
        self._troubles: dict[Key, Trouble] = {}

    async def reconcile(self, key: Key) -> float | None:
        """Give in how many seconds to come back; raises where something is to be tried again."""
        with self._metrics.reconcile_seconds.time():
            try:
                return await self._reconcile(key)
            except Exception:
                self._metrics.reconcile_errors.inc()
                raise

    async def _reconcile(self, key: Key) -> float | None:
        world = self._store.world(key, self._installation(), self._troubles.get(key))
        if world is None:
            self._troubles.pop(key, None)
            return None
        return await self._follow(key, world)

    async def _follow(self, key: Key, world: World) -> float | None:
        """Do what is decided, and tell it; gives the seconds until it is looked at again."""
        now = datetime.now(UTC)
        podless = podless_job(world, now)
        if podless:
            world = replace(world, job_words=await self._actor.words_on(podless))
        decision = decide(world, now)
        try:
            for action in decision.actions:
                logger.info("%s", type(action).__name__, extra={"training": str(key)})
                await self._actor.act(action, self._seeing.job)
                if isinstance(action, CreateJob):
                    self._metrics.job_made(world.training, now)
        except ApiError as error:
            if error.in_vain:
                return None
            if error.worth_telling:
                await self._tell_trouble(key, world, error)
            raise
        if self._troubles.pop(key, None):
            # What was decided told of a trouble that is over, and no watch may bring news of it.
            return 0.0
        if _made_a_job(decision):
            # It is in the store already, so the watch brings no news of it. The status is told in
            # a turn of its own, after the Jobs of others that wait for theirs.
            return 0.0
        await self._tell(key, world, decision)
        if _is_end(decision.status):
            # As above: what was just written is known.
            return 0.0
        if decision.wake_at is None:
            return None
        return max(0.0, (decision.wake_at - now).total_seconds())

    async def _tell_trouble(self, key: Key, world: World, error: ApiError) -> None:
        """What the API server will not take is told in the resource, not only in a log."""
        trouble = Trouble(error.reason, error.message)
        self._troubles[key] = trouble
        troubled = replace(world, trouble=trouble)
        await self._tell(key, troubled, decide(troubled, datetime.now(UTC)))

    async def _tell(self, key: Key, world: World, decision: Decision) -> None:
        if decision.status is None:
            return
        written = await self._actor.write_status(world.training, decision.status)
        if written is None:
            return
        self._store.see_training(written)
        self._metrics.status_written(world.training, decision.status)
        logger.info("%s", _summary(decision.status), extra={"training": str(key)})
        for event in decision.events:
            self._actor.tell(world.training, event)


def _made_a_job(decision: Decision) -> bool:
    return any(isinstance(action, CreateJob | CreateWarmUp) for action in decision.actions)


def _is_end(status: Mapping[str, Any] | None) -> bool:
    return status is not None and status.get("phase") in (Phase.SUCCEEDED, Phase.FAILED)


def _summary(status: Mapping[str, Any]) -> str:
    reason = next(
        (one["reason"] for one in status["conditions"] if one["type"] == ConditionType.SUCCEEDED),
        "",
    )
    return f"{status.get('phase')}: {reason}"
