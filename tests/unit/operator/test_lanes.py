"""What is urgent goes first at the API server, and nothing starves."""

import asyncio
from collections import Counter

from splat_operator.act.lanes import AT_ONCE, Lane, Lanes

from .virtual_time import run


async def _busy(lanes: Lanes, lane: Lane, count: int, done: list[Lane], seconds: float) -> None:
    async def one() -> None:
        async with lanes.turn(lane):
            await asyncio.sleep(seconds)
        done.append(lane)

    await asyncio.gather(*(one() for _ in range(count)))


def test_jobs_go_before_statuses_and_these_before_events() -> None:
    async def scene() -> list[Lane]:
        lanes, done = Lanes(), list[Lane]()
        # All at once, the least urgent first.
        await asyncio.gather(*(_busy(lanes, lane, 200, done, 1.0) for lane in reversed(Lane)))
        return done

    done = run(scene())
    until_the_last_job = Counter(done[: len(done) - done[::-1].index(Lane.JOB)])
    # Those that came first had their turns; then the others had what is sure to them.
    assert until_the_last_job[Lane.STATUS] < 32
    assert until_the_last_job[Lane.PROGRESS] < 32
    assert until_the_last_job[Lane.STATUS] > 16
    assert until_the_last_job[Lane.EVENT] == 2
    last = {lane: len(done) - done[::-1].index(lane) for lane in Lane}
    assert sorted(Lane, key=lambda lane: last[lane]) == list(Lane)


def test_no_more_are_under_way_than_agreed() -> None:
    async def scene() -> int:
        lanes, under_way, most = Lanes(), 0, 0

        async def one(lane: Lane) -> None:
            nonlocal under_way, most
            async with lanes.turn(lane):
                under_way += 1
                most = max(most, under_way)
                await asyncio.sleep(1)
                under_way -= 1

        await asyncio.gather(*(one(lane) for lane in Lane for _ in range(300)))
        return most

    # Each lane has a few that are sure to it.
    assert AT_ONCE <= run(scene()) <= AT_ONCE + 4


def test_who_gives_up_waiting_leaves_no_turn_taken() -> None:
    async def scene() -> list[Lane]:
        lanes, done = Lanes(), list[Lane]()
        tasks = [asyncio.create_task(_busy(lanes, Lane.JOB, 1, done, 1.0)) for _ in range(200)]
        for seconds in (0.5, 0.5, 0.7):
            await asyncio.sleep(seconds)
            for task in tasks[::3]:
                task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        # A leader that lost its lease must stop: nothing may come in the place of a cancellation.
        assert {type(one) for one in ended} == {asyncio.CancelledError, type(None)}
        done.clear()
        await _busy(lanes, Lane.JOB, AT_ONCE, done, 1.0)
        return done

    async def timed() -> float:
        loop = asyncio.get_running_loop()
        await scene()
        before = loop.time()
        lanes = Lanes()
        await _busy(lanes, Lane.JOB, AT_ONCE, [], 1.0)
        return loop.time() - before

    assert len(run(scene())) == AT_ONCE
    assert run(timed()) == 1.0
