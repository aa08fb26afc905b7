"""Where all ranks stop: at the last step that rank 0 had allowed."""

from collections.abc import Iterator
from multiprocessing import Pipe

import pytest
from hypothesis import given
from hypothesis import strategies as st

from splat_trainer.distributed.exchange import PeerLost
from splat_trainer.distributed.leash import Follower, Leader


def pair(stride: int = 2, last: int = 1000, seconds: float = 1.0) -> tuple[Leader, Follower]:
    """Both ends; by the leader's clock each question takes so many seconds."""
    hears, says = Pipe(duplex=False)
    times: Iterator[float] = iter(seconds * i for i in range(1_000_000))
    leader = Leader([says], stride=stride, last=last, clock=lambda: next(times))
    return leader, Follower(hears, last=last)


@given(
    stride=st.integers(1, 8),
    views=st.integers(1, 400),
    stop_at=st.integers(0, 60),
    seconds=st.sampled_from([0.01, 0.5, 2.0]),
    shorter=st.sets(st.integers(0, 400)),
)
def test_all_stop_after_the_same_step(
    stride: int, views: int, stop_at: int, seconds: float, shorter: set[int]
) -> None:
    """Steps that reach one of `shorter` end there."""

    def after(step: int) -> int:
        ends = (end for end in range(step + 1, step + stride) if end in shorter)
        return min(views, next(ends, step + stride))

    leader, follower = pair(stride, views, seconds)
    done = step = 0
    while step < views and not leader.stops(step, wanted=done >= stop_at):
        step, done = after(step), done + 1
    stopped_at = step
    step = 0
    while step < views and not follower.stops(step, wanted=False):
        step = after(step)
    assert step == stopped_at


def test_a_follower_never_waits_for_a_leader_that_is_a_step_behind() -> None:
    leader, follower = pair(seconds=0.01)
    for step in range(0, 400, 2):
        assert not leader.stops(step, wanted=False)
        assert not follower.stops(step, wanted=False)  # it would block for ever
        assert not follower.stops(step + 2, wanted=False)


@pytest.mark.parametrize(("seconds", "most"), [(0.01, 128), (0.5, 2), (10.0, 2)])
def test_slow_steps_are_allowed_one_by_one(seconds: float, most: int) -> None:
    leader, _ = pair(stride=1, last=1_000, seconds=seconds)
    step = 0
    while step < 300:
        assert not leader.stops(step, wanted=False)
        step += 1
    late = 0
    while not leader.stops(step, wanted=True):
        step, late = step + 1, late + 1
    assert late <= most


def test_a_stop_that_comes_with_the_last_steps_lets_them_end() -> None:
    leader, follower = pair(stride=4, last=6, seconds=0.01)
    assert not leader.stops(0, wanted=False)
    assert not leader.stops(4, wanted=True)
    assert not follower.stops(0, wanted=False)
    assert not follower.stops(4, wanted=False)


def test_who_has_lost_the_other_end_says_so() -> None:
    hears, says = Pipe(duplex=False)
    follower = Follower(hears, last=10)
    says.close()
    with pytest.raises(PeerLost, match="rank 0"):
        follower.stops(0, wanted=False)
    hears, says = Pipe(duplex=False)
    leader = Leader([says], stride=1, last=10)
    hears.close()
    with pytest.raises(PeerLost, match="follower"):
        leader.stops(0, wanted=False)
