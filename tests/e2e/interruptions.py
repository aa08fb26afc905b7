"""Trainings that are interrupted, and whether they go on."""

from __future__ import annotations

import json
import re
from typing import Any

from tests.cluster.waiting import wait_for
from tests.e2e.trainings import LONG, Namespace, Raw, training


def pods_of(garden: Namespace, name: str) -> list[Raw]:
    labelled = f"splatting.dev/training={name}"
    return garden.cluster.list("pods", garden.name, labelled)


def jobs_of(garden: Namespace, name: str) -> list[Raw]:
    labelled = f"splatting.dev/training={name}"
    return garden.cluster.list("jobs", garden.name, labelled)


def interrupted(garden: Namespace, name: str, least: int = 5, **spec: Any) -> tuple[Raw, int]:
    """Start a training that would run for long; gives its pod, and a step it has come to."""
    garden.apply(training(name, training=LONG, **spec))
    status = garden.wait_for_iteration(name, least)
    (pod,) = pods_of(garden, name)
    return pod, int(status["progress"]["iteration"])


def goes_on(garden: Namespace, name: str, step: int) -> Raw:
    """See that a second pod goes on from a checkpoint at or after a step, then stop it.

    Gives the status of before it was stopped.
    """
    status = garden.wait(
        name,
        "at its second attempt",
        lambda seen: seen.get("attempts") == 2 and seen["phase"] == "Running",
    )
    scope = f"--namespace={garden.name}"
    found = wait_for(
        "the second pod to say where it goes on",
        lambda: re.search(
            r"going on from checkpoint_(\d+)",
            garden.cluster.kubectl("logs", status["podName"], scope),
        ),
    )
    assert int(found[1]) >= step
    assert len(jobs_of(garden, name)) == 1
    garden.cluster.kubectl("delete", "splattraining", name, scope)
    return status


def evict(garden: Namespace, pod: Raw) -> None:
    """Have a pod leave its node, as a drain does."""
    name = pod["metadata"]["name"]
    eviction = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": name, "namespace": garden.name},
    }
    path = f"/api/v1/namespaces/{garden.name}/pods/{name}/eviction"
    garden.cluster.kubectl("create", f"--raw={path}", "--filename=-", stdin=json.dumps(eviction))
