"""`status.checkpoint`: the newest that a training is known to be able to go on from.

A pod tells of one while it runs, in its progress, and once more when it stops, in its result.
What is written stays true when another pod follows: all pods of a training are one run, and each
goes on from what the one before has left.
"""

from collections.abc import Mapping
from typing import Any

from splat_operator.api import SplatTrainingSpec
from splat_operator.decide.address import address
from splat_operator.decide.ending import result_of
from splat_operator.decide.shown import shown_count
from splat_operator.world import Pod, Training
from splat_operator.world.fields import integer, mapping
from splat_trainer.contract import CheckpointRef, ProgressDocument

Entry = Mapping[str, Any]


def checkpoint_known(training: Training, pods: tuple[Pod, ...]) -> Entry:
    """Give the newest of what is written and what stopped pods told; empty where there is none."""
    results = (result_of(pod) for pod in pods)
    told = [_entry(training.spec, result.checkpoint) for result in results if result]
    return _newest(*told, _written(training))


def checkpoint_reported(training: Training, document: ProgressDocument) -> Entry:
    """Give the newest of what is written and what a trainer reports; empty where there is none.

    What is written is given again where a report brings nothing newer: a field that its writer
    leaves out is taken away.
    """
    return _newest(_entry(training.spec, document.checkpoint), _written(training))


def is_newer(checkpoint: Entry, written: Entry) -> bool:
    """Whether a checkpoint is of a later step than the one written, if any."""
    return _step(checkpoint) > _step(written)


def _newest(*entries: Entry) -> Entry:
    """Of two of the same step the first."""
    return max(entries, key=_step)


def _step(entry: Entry) -> int:
    return integer(entry.get("iteration")) if entry else -1


def _entry(spec: SplatTrainingSpec | None, told: CheckpointRef | None) -> Entry:
    if spec is None or told is None:
        return {}
    uri = address(spec, told.uri)
    return {"iteration": shown_count(told.iteration), "uri": uri} if uri else {}


def _written(training: Training) -> Entry:
    return mapping(training.status, "checkpoint")
