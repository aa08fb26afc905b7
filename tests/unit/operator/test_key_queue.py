"""One reconcile of a key at a time; none that was asked for is forgotten."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from splat_operator.runtime import key_queue
from splat_operator.runtime.key_queue import KeyQueue
from splat_operator.runtime.store import Key

A, B = Key("n", "a"), Key("n", "b")


def run(
    reconcile: Callable[[Key], Awaitable[float | None]],
    scene: Callable[[KeyQueue], Awaitable[None]],
) -> None:
    async def play() -> None:
        queue = KeyQueue(reconcile)
        work = asyncio.create_task(queue.run(6))
        try:
            await asyncio.wait_for(scene(queue), 20)
        finally:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)

    asyncio.run(play())


def test_a_key_asked_for_while_it_runs_comes_again_after_it_and_never_beside_it() -> None:
    running: list[Key] = []
    runs: list[Key] = []
    gate = asyncio.Event()

    async def reconcile(key: Key) -> float | None:
        assert key not in running
        running.append(key)
        runs.append(key)
        if len(runs) == 1:
            await gate.wait()
        running.remove(key)
        return None

    async def scene(queue: KeyQueue) -> None:
        queue.add(A)
        while not runs:
            await asyncio.sleep(0)
        for _ in range(5):
            queue.add(A)
        queue.add(B)
        while B not in runs:
            await asyncio.sleep(0)
        assert runs.count(A) == 1
        gate.set()
        while runs.count(A) < 2:
            await asyncio.sleep(0)
        for _ in range(20):
            await asyncio.sleep(0)
        assert runs.count(A) == 2

    run(reconcile, scene)


def test_a_failure_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_queue, "_FIRST_BACKOFF", 0.001)
    runs = 0
    done = asyncio.Event()

    async def reconcile(key: Key) -> float | None:
        nonlocal runs
        runs += 1
        if runs < 4:
            raise RuntimeError("not yet")
        done.set()
        return None

    async def scene(queue: KeyQueue) -> None:
        queue.add(A)
        await done.wait()

    run(reconcile, scene)
    assert runs == 4


def test_what_fails_for_days_is_still_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """2.0**1024 is no number."""
    monkeypatch.setattr(key_queue, "_LONGEST_BACKOFF", 0.0)
    runs = 0
    done = asyncio.Event()

    async def reconcile(key: Key) -> float | None:
        nonlocal runs
        runs += 1
        if runs <= 1_100:
            raise RuntimeError("refused")
        done.set()
        return None

    async def scene(queue: KeyQueue) -> None:
        queue.add(A)
        await done.wait()

    run(reconcile, scene)
    assert runs == 1_101


def test_of_several_wishes_to_come_back_the_earliest_counts() -> None:
    runs = 0
    done = asyncio.Event()

    async def reconcile(key: Key) -> float | None:
        nonlocal runs
        runs += 1
        done.set()
        return None

    async def scene(queue: KeyQueue) -> None:
        queue.add_after(A, 3600)
        queue.add_after(A, 0.001)
        queue.add_after(A, 1800)
        await done.wait()

    run(reconcile, scene)
    assert runs == 1


def test_a_reconcile_may_ask_to_come_back() -> None:
    runs = 0
    done = asyncio.Event()

    async def reconcile(key: Key) -> float | None:
        nonlocal runs
        runs += 1
        if runs == 2:
            done.set()
            return None
        return 0.001

    async def scene(queue: KeyQueue) -> None:
        queue.add(A)
        await done.wait()

    run(reconcile, scene)


def test_urgent_keys_wait_for_no_others_nor_these_for_them() -> None:
    order: list[Key] = []
    held = asyncio.Event()
    urgent = {Key("n", f"new-{number}") for number in range(16)}
    others = {Key("n", f"old-{number}") for number in range(16)}

    async def play(first: set[Key], then: set[Key]) -> set[Key]:
        """Let all workers of one lane be held up; gives what is done all the same."""
        order.clear()
        held.clear()

        async def reconcile(key: Key) -> float | None:
            if key in first:
                await held.wait()
            order.append(key)
            return None

        queue = KeyQueue(reconcile, urgent=lambda key: key in urgent)
        work = asyncio.create_task(queue.run(6))
        for key in (*first, *then):
            queue.add(key)
        while len(order) < len(then):
            await asyncio.sleep(0)
        done = set(order)
        held.set()
        while len(order) < len(first) + len(then):
            await asyncio.sleep(0)
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
        return done

    assert asyncio.run(play(others, urgent)) == urgent
    assert asyncio.run(play(urgent, others)) == others
