"""What of the reports is written, in which order, how seldom, and how fresh it is."""

import asyncio
import itertools
from collections import Counter
from collections.abc import Mapping
from typing import Any

import pytest

from splat_operator.act import ApiError
from splat_operator.progress.writer import ProgressWriter, Target

from .virtual_time import run

Written = list[tuple[float, str, int]]
"""When, whose, and which iteration."""


def now() -> float:
    return asyncio.get_running_loop().time()


class Api:
    """An API server that takes so many writes a second, one after the other."""

    def __init__(self, each: float = 0.0) -> None:
        self.each = each
        self.written: Written = []
        self.ages: list[tuple[float, float]] = []
        """When a report was written, and how old it was then."""
        self.refusal: Exception | None = None
        self._turn = asyncio.Lock()

    async def write(self, ns: str, name: str, uid: str, report: Mapping[str, Any]) -> None:
        async with self._turn:
            await asyncio.sleep(self.each)
            if self.refusal:
                raise self.refusal
            self.written.append((now(), name, report["progress"]["iteration"]))

    def writer(self) -> ProgressWriter:
        return ProgressWriter(self.write, written=lambda age: self.ages.append((now(), age)))


def at(iteration: int, stage: str = "Training") -> dict[str, Any]:
    return {"progress": {"stage": stage, "iteration": iteration, "lastUpdated": str(now())}}


def target(name: str) -> Target:
    return Target("n", name, "u")


def test_of_many_reports_the_newest_is_written_and_once_in_two_seconds() -> None:
    async def scene() -> Written:
        api = Api()
        writer = api.writer()
        for iteration in range(100):
            writer.offer(target("a"), at(iteration))
            await asyncio.sleep(0.1)
        await asyncio.sleep(5)
        return api.written

    written = run(scene())
    times = [moment for moment, _, _ in written]
    assert all(later - sooner >= 2 for sooner, later in itertools.pairwise(times))
    assert len(written) == 6
    assert written[-1][2] == 99


def test_a_write_that_takes_long_does_not_put_off_the_next() -> None:
    async def scene() -> Written:
        api = Api(each=1.5)
        writer = api.writer()
        for iteration in range(5):
            writer.offer(target("a"), at(iteration))
            await asyncio.sleep(2)
        return api.written

    times = [moment for moment, _, _ in run(scene())]
    assert [later - sooner for sooner, later in itertools.pairwise(times)] == [2.0] * 4


def test_a_new_stage_goes_before_the_reports_that_wait() -> None:
    async def scene() -> list[str]:
        api = Api(each=0.1)
        writer = api.writer()
        for number in range(60):
            writer.offer(target(str(number)), at(1))
        await asyncio.sleep(20)
        for number in range(60):
            writer.offer(target(str(number)), at(2))
        writer.offer(target("59"), at(2, "Evaluating"))
        await asyncio.sleep(20)
        return [name for _, name, iteration in api.written if iteration == 2]

    names = run(scene())
    assert len(names) == 60
    # Sixteen are on their way when it comes.
    assert names.index("59") == 16


def test_what_says_nothing_new_is_written_only_now_and_then() -> None:
    async def scene() -> Written:
        api = Api()
        writer = api.writer()
        for _ in range(50):
            writer.offer(target("a"), at(7))
            await asyncio.sleep(2)
        return api.written

    assert len(run(scene())) == 4


def test_checkpoints_make_no_write_come_sooner_and_a_new_one_is_something_new() -> None:
    async def scene() -> Written:
        api = Api()
        writer = api.writer()
        for step in range(100):
            writer.offer(target("a"), {**at(7), "checkpoint": {"iteration": step}})
            await asyncio.sleep(0.5)
        return api.written

    times = [moment for moment, _, _ in run(scene())]
    assert all(later - sooner >= 2 for sooner, later in itertools.pairwise(times))
    assert 20 <= len(times) <= 26


@pytest.mark.parametrize("refusal", [ApiError(500, "InternalError", "no"), TimeoutError()])
def test_a_write_that_failed_is_made_good_by_the_next_report(refusal: Exception) -> None:
    async def scene() -> Written:
        api = Api()
        writer = api.writer()
        api.refusal = refusal
        writer.offer(target("a"), at(1))
        await asyncio.sleep(2)
        api.refusal = None
        writer.offer(target("a"), at(1))
        await asyncio.sleep(2)
        return api.written

    assert len(run(scene())) == 1


async def _report(
    writer: ProgressWriter, name: str, heeds: bool, until: float, late: float = 0.0
) -> None:
    """Report from one training; `late` is the most by which a report comes late for its turn."""
    iteration = 0
    await asyncio.sleep(int(name) / 50)
    while now() < until:
        iteration += 1
        after = writer.offer(target(name), at(iteration))
        await asyncio.sleep(after + late * (iteration % 4) / 3 if heeds else 2.0)


async def _crowd(each: float, heeds: bool, slower: float = 1.0, late: float = 0.0) -> Api:
    """Five hundred that report for two minutes, to a server that takes 1/each writes a second.

    With `slower` it does so for 15 seconds, then so many times slower for 15, and so on. What is
    given is of the time after the first half minute.
    """
    api = Api(each)
    writer = api.writer()
    began = now()

    async def swing() -> None:
        while True:
            await asyncio.sleep(15)
            api.each = each * slower if api.each == each else each

    swinging = asyncio.create_task(swing())
    until = began + 120
    await asyncio.gather(*(_report(writer, str(n), heeds, until, late) for n in range(500)))
    swinging.cancel()
    await writer.close()
    api.ages = [one for one in api.ages if began + 30 < one[0] < until]
    api.written = [one for one in api.written if began + 30 < one[0] < until]
    return api


def p99(api: Api) -> float:
    ages = sorted(age for _, age in api.ages)
    return ages[int(0.99 * len(ages))]


def seldom_and_often(api: Api) -> tuple[int, int]:
    counts = Counter(name for _, name, _ in api.written)
    return min(counts[str(number)] for number in range(500)), max(counts.values())


@pytest.mark.parametrize("each", [0.004, 0.01, 0.02], ids=lambda each: f"{1 / each:.0f}_a_second")
def test_what_five_hundred_report_is_fresh_when_written_however_slow_the_server(
    each: float,
) -> None:
    api = run(_crowd(each, heeds=True))
    assert p99(api) < 2.1
    # And the server is not left idle: most of what it can take is used.
    assert len(api.written) > 0.85 * min(90 / each, 500 * 45)
    least, most = seldom_and_often(api)
    assert least > 0.4 * most


def test_it_stays_fresh_while_the_server_becomes_slower_and_faster() -> None:
    api = run(_crowd(0.01, heeds=True, slower=2.5))
    assert p99(api) < 2.5
    assert len(api.written) > 0.6 * (45 / 0.01 + 45 / 0.025)


def test_it_stays_fresh_where_reports_come_late_for_their_turns() -> None:
    assert p99(run(_crowd(0.02, heeds=True, late=1.5))) < 2.1


def test_the_last_report_is_shown_though_none_follows() -> None:
    async def scene() -> Written:
        api = Api(each=0.2)
        writer = api.writer()
        for number in range(100):
            writer.offer(target(str(number)), at(1))
        await asyncio.sleep(25)
        writer.offer(target("5"), at(2))
        await asyncio.sleep(0.1)
        writer.offer(target("5"), at(3))
        await asyncio.sleep(60)
        return api.written

    assert [iteration for _, name, iteration in run(scene()) if name == "5"][-1] == 3


def test_trainers_that_heed_nothing_are_written_as_fast_as_the_server_takes_it() -> None:
    api = run(_crowd(0.01, heeds=False))
    # They report every two seconds, so what waits is no older.
    assert p99(api) < 2.5
    assert len(api.written) > 0.85 * 90 / 0.01
    assert seldom_and_often(api)[0] > 0
