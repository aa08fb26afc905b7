"""`status.gpuSeconds`: what a training's pods held, counted once however often one looks."""

from datetime import timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from splat_operator.decide.gpu_seconds import gpu_seconds
from splat_operator.world import Pod

from .builders import NOW, at, raw_pod, training, world


def held(start: int, end: int | None, name: str = "x") -> Pod:
    """A pod that got its node at one second and ended at another."""
    state: dict[str, Any] = {"running": {"startedAt": at(start)}}
    phase = "Running"
    if end is not None:
        state = {"terminated": {"exitCode": 1, "finishedAt": at(end), "startedAt": at(start)}}
        phase = "Failed"
    return Pod.from_api(
        raw_pod(
            name,
            start,
            phase=phase,
            startTime=at(start),
            containerStatuses=[{"name": "trainer", "state": state}],
        )
    )


def test_every_attempt_counts() -> None:
    found = gpu_seconds(world(training(), None, held(10, 40, "a"), held(50, 70, "b")))
    assert found == {"gpuSeconds": 50, "gpuSecondsUntil": at(70)}


def test_a_pod_that_runs_is_counted_up_to_now() -> None:
    found = gpu_seconds(world(training(), None, held(10, None)), NOW + timedelta(seconds=25))
    assert found == {"gpuSeconds": 15, "gpuSecondsUntil": at(25)}


def test_a_training_on_the_cpu_holds_none() -> None:
    asked = training(resources={"gpus": 0})
    assert gpu_seconds(world(asked, None, held(10, 40))) == {}


@given(
    st.lists(st.tuples(st.integers(0, 50), st.integers(1, 300)), min_size=1, max_size=6),
    st.lists(st.integers(0, 2500), max_size=12),
)
def test_it_is_the_same_however_often_one_looks_and_though_pods_go(
    pods: list[tuple[int, int]], looks: list[int]
) -> None:
    spans, clock = [], 0
    for pause, length in pods:
        spans.append((clock + pause, clock + pause + length))
        clock = spans[-1][1]
    written: dict[str, Any] = {}
    for second in [*sorted(looks), clock]:
        seen = [
            held(start, end if end <= second else None, f"pod-{number}")
            for number, (start, end) in enumerate(spans)
            if start <= second
        ]
        now = NOW + timedelta(seconds=second)
        # The oldest are gone, as far as they ended before the last look.
        found = world(training(status=written), None, *seen)
        written = {**written, **gpu_seconds(found, now)}
    assert written["gpuSeconds"] == sum(end - start for start, end in spans)
