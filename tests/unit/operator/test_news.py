"""Events are told when there is time for it, and nobody waits for them."""

import asyncio
from collections.abc import Mapping
from typing import Any

from splat_operator.act import ApiError, news
from splat_operator.act.lanes import Lanes
from splat_operator.act.news import News
from splat_operator.decide import Event
from splat_operator.decide.reasons import Reason
from splat_operator.world import Training

from .test_store import a_training
from .virtual_time import run

TRAINING = Training.from_api(a_training())


class Api:
    """Takes an Event a second."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.refuses = False

    async def create(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        await asyncio.sleep(1)
        if self.refuses:
            raise ApiError(403, "Forbidden", "no")
        self.notes.append(str(body["note"]))
        return {}


def told(api: Api, count: int, seconds: float) -> News:
    async def scene() -> News:
        teller = News(api, Lanes(), "me")  # type: ignore[arg-type]
        for number in range(count):
            teller.tell(TRAINING, Event(Reason.JOB_CREATED, str(number), warning=False))
        assert api.notes == []
        await asyncio.sleep(seconds)
        await teller.close()
        return teller

    return run(scene())


def test_all_are_told_in_their_order() -> None:
    api = Api()
    assert told(api, 20, 30).lost == 0
    assert sorted(api.notes, key=int) == [str(number) for number in range(20)]


def test_at_the_end_there_is_a_moment_for_the_last_ones() -> None:
    api = Api()
    told(api, 4, 0)
    assert len(api.notes) >= 2


def test_under_a_flood_the_oldest_are_lost() -> None:
    api = Api()
    assert told(api, news._KEPT + 100, 3000).lost == 100
    assert api.notes[-1] == str(news._KEPT + 99)
    assert len(api.notes) == news._KEPT


def test_one_that_is_refused_is_lost_and_no_more() -> None:
    api = Api()
    api.refuses = True
    assert told(api, 3, 10).lost == 3
