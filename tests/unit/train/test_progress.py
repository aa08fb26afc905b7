"""What a training tells of its speed."""

from itertools import pairwise

import pytest
import torch

from splat_trainer.contract import ProgressDocument, Stage
from splat_trainer.train import progress
from splat_trainer.train.progress import ProgressMeter


class _Listener:
    def __init__(self) -> None:
        self.documents: list[ProgressDocument] = []

    def stage(self, stage: Stage) -> None: ...

    def progress(self, document: ProgressDocument) -> None:
        self.documents.append(document)


class _Clock:
    """Stands in for the clock, so that a test decides how long a step takes."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> _Clock:
    clock = _Clock()
    monkeypatch.setattr(progress, "time", clock)
    return clock


def _run(clock: _Clock, seconds_of_step: list[float]) -> list[ProgressDocument]:
    listener = _Listener()
    meter = ProgressMeter(listener, len(seconds_of_step), torch.device("cpu"), step=0, curve=())
    for step, seconds in enumerate(seconds_of_step, start=1):
        clock.now += seconds
        if meter.due(step):
            meter.report(step, loss=0.1, gaussians=10, seconds=clock.now)
    return listener.documents


def test_a_slow_first_step_is_told_without_a_speed_and_does_not_slow_what_is_told_later(
    clock: _Clock,
) -> None:
    documents = _run(clock, [30.0] + [0.1] * 40)
    assert documents[0].iteration == 1
    assert documents[0].iterations_per_second is None
    assert documents[0].eta_seconds is None
    for document in documents[1:]:
        assert document.iterations_per_second == pytest.approx(10.0)


def test_speed_is_that_of_the_last_seconds_and_one_slow_step_moves_it_little(
    clock: _Clock,
) -> None:
    steady = _run(clock, [0.1] * 100)
    disturbed = _run(clock, [0.1] * 60 + [1.0] + [0.1] * 39)
    assert steady[-1].iterations_per_second == pytest.approx(10.0)
    slowest = min(d.iterations_per_second or 99 for d in disturbed)
    assert 7.0 < slowest < 10.0
    assert disturbed[-1].iterations_per_second == pytest.approx(10.0, rel=0.21)


def test_a_pause_is_not_counted_as_slow_steps(clock: _Clock) -> None:
    listener = _Listener()
    meter = ProgressMeter(listener, 1000, torch.device("cpu"), step=0, curve=())
    for step in range(1, 41):
        clock.now += 0.1
        if step == 20:
            clock.now += 60.0  # an evaluation
            meter.resume(step)
        elif meter.due(step):
            meter.report(step, loss=0.1, gaussians=10, seconds=clock.now)
    assert listener.documents[-1].iterations_per_second == pytest.approx(10.0)


def test_a_run_that_pauses_more_often_than_it_reports_still_reports(clock: _Clock) -> None:
    listener = _Listener()
    meter = ProgressMeter(listener, 1000, torch.device("cpu"), step=0, curve=())
    for step in range(1, 41):
        clock.now += 0.1
        if meter.due(step):
            meter.report(step, loss=0.1, gaussians=10, seconds=clock.now)
        meter.resume(step)  # a checkpoint after every step
    told = [document.iteration for document in listener.documents]
    assert told[0] == 1
    assert all(5 <= later - earlier <= 6 for earlier, later in pairwise(told))
    assert told[-1] > 30
    assert listener.documents[-1].iterations_per_second == pytest.approx(10.0)
