"""Trainings in a queue of Kueue itself: admitted, placed, preempted, taken out."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.cluster.layout import REPOSITORY
from tests.cluster.waiting import wait_for
from tests.e2e.interruptions import jobs_of, pods_of
from tests.e2e.trainings import LONG, QUICK, Namespace, Raw, condition, training
from tests.kueue.queues import NODES, ONE_TRAINING, QUEUE

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]


def queued(name: str, **spec: Any) -> Raw:
    return training(name, **{"queueName": QUEUE, "resources": ONE_TRAINING, **spec})


def workload_of(team: Namespace, name: str) -> Raw | None:
    """What Kueue made of a training's Job."""
    uids = {job["metadata"]["uid"] for job in jobs_of(team, name)}
    owned = [
        workload
        for workload in team.cluster.list("workloads", team.name)
        if uids & {owner["uid"] for owner in workload["metadata"]["ownerReferences"]}
    ]
    return owned[0] if owned else None


def is_true(workload: Raw | None, kind: str) -> bool:
    return condition((workload or {}).get("status", {}), kind).get("status") == "True"


def test_what_kueue_admits_is_trained_on_the_flavours_nodes_and_gives_its_quota_back(
    team: Namespace,
) -> None:
    team.apply(queued("admitted"))
    status = team.wait_for_phase("admitted", "Succeeded", 180)
    assert status["progress"]["percent"] == "100%"
    (pod,) = pods_of(team, "admitted")
    assert NODES.items() <= pod["spec"]["nodeSelector"].items()
    wait_for(
        "Kueue to see the end",
        lambda: workload_of(team, "admitted"),
        until=lambda seen: is_true(seen, "Finished"),
    )


def test_a_training_beyond_the_quota_is_queued_until_the_other_ends(team: Namespace) -> None:
    team.apply(queued("first", training=LONG))
    team.wait_for_iteration("first", 5, 180)
    team.apply(queued("second"))
    status = team.wait_for_phase("second", "Queued")
    assert QUEUE in condition(status, "Scheduled")["message"]
    workload = wait_for(
        "Kueue to hold the second back",
        lambda: workload_of(team, "second"),
        until=lambda seen: (
            condition((seen or {}).get("status", {}), "QuotaReserved").get("status") == "False"
        ),
    )
    assert not is_true(workload, "Admitted")
    assert pods_of(team, "second") == []

    team.cluster.kubectl("delete", "splattraining", "first", f"--namespace={team.name}")
    team.wait_for_phase("second", "Succeeded", 180)


def test_a_preempted_training_saves_a_checkpoint_is_queued_and_goes_on_from_there(
    team: Namespace,
) -> None:
    team.apply(queued("patient", training=LONG, priorityClassName="low"))
    step = int(team.wait_for_iteration("patient", 5, 180)["progress"]["iteration"])
    team.apply(queued("urgent", priorityClassName="high"))

    team.wait(
        "patient",
        "queued again with a checkpoint kept",
        lambda seen: (
            "again, to go on from iteration" in condition(seen, "Scheduled").get("message", "")
        ),
    )
    team.wait_for_phase("urgent", "Succeeded", 180)

    status = team.wait_for_phase("patient", "Running", 180)
    log = wait_for(
        "the second pod to say where it goes on",
        lambda: re.search(
            r"going on from checkpoint_(\d+)",
            team.cluster.kubectl("logs", status["podName"], f"--namespace={team.name}"),
        ),
    )
    assert int(log[1]) >= step
    assert len(jobs_of(team, "patient")) == 1


def test_a_suspended_training_leaves_its_place_to_the_next_and_queues_again_when_resumed(
    team: Namespace,
) -> None:
    team.apply(queued("paused", training=LONG))
    step = int(team.wait_for_iteration("paused", 5, 180)["progress"]["iteration"])
    assert team.patch("paused", suspend=True).returncode == 0
    team.wait_for_phase("paused", "Suspended")
    team.apply(queued("next"))
    team.wait_for_phase("next", "Succeeded", 180)

    assert team.patch("paused", suspend=False).returncode == 0
    seen = team.wait(
        "paused",
        "beyond where it was",
        lambda status: (
            status.get("phase") == "Running" and status["progress"].get("iteration", 0) > step
        ),
        180,
    )
    assert seen["attempts"] == 2


def test_a_queue_that_is_not_there_leaves_the_training_queued_and_starts_nothing(
    team: Namespace,
) -> None:
    team.apply(queued("lost", queueName="nowhere", training=QUICK))
    status = team.wait_for_phase("lost", "Queued")
    assert "nowhere" in condition(status, "Scheduled")["message"]
    wait_for(
        "Kueue to say that there is no such queue",
        lambda: workload_of(team, "lost"),
        until=lambda seen: (
            "nowhere"
            in condition((seen or {}).get("status", {}), "QuotaReserved").get("message", "")
        ),
    )
    assert pods_of(team, "lost") == []


@pytest.mark.parametrize("example", ["kueue-quota.yaml", "kueue.yaml"])
def test_the_example_is_taken_as_it_stands(team: Namespace, example: str) -> None:
    file = REPOSITORY / "deploy" / "examples" / example
    team.cluster.kubectl(
        *("apply", "--server-side", "--dry-run=server", f"--filename={file}"),
        f"--namespace={team.name}",
    )
