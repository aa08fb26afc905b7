"""What the watches bring, in whatever order."""

from typing import Any

import pytest

from splat_operator.runtime.store import Key, Store
from splat_operator.world import World

from .builders import (
    installation,
    raw_job,
    raw_pod,
    raw_training,
    running,
    terminated,
    training,
)

KEY = Key("gardens", "garden")
LABELS = {"splatting.dev/training": "garden"}


def versioned(raw: dict[str, Any], version: int, **metadata: Any) -> dict[str, Any]:
    meta = {**raw["metadata"], "labels": LABELS, "resourceVersion": str(version), **metadata}
    return {**raw, "metadata": meta}


def a_training(version: int = 1, **changes: Any) -> dict[str, Any]:
    return versioned(raw_training(**changes), version)


def a_job(version: int = 2, **metadata: Any) -> dict[str, Any]:
    return versioned(raw_job(training(), active=1), version, **metadata)


def a_pod(version: int = 3, **status: Any) -> dict[str, Any]:
    return versioned(raw_pod(**status), version)


def world(store: Store) -> World:
    found = store.world(KEY, installation(), None)
    assert found is not None
    return found


def test_a_world_is_the_training_its_job_and_that_jobs_pods() -> None:
    store = Store()
    assert store.see_pod(a_pod()) == KEY
    assert store.see_job(a_job()) == KEY
    assert store.world(KEY, installation(), None) is None
    assert store.see_training(a_training()) == KEY
    found = world(store)
    assert found.job is not None
    assert [pod.name for pod in found.pods] == ["garden-x"]


def test_an_older_sight_never_replaces_a_newer_one() -> None:
    store = Store()
    store.see_training(a_training(5, suspend=True))
    assert store.see_training(a_training(4)) is None
    spec = world(store).training.spec
    assert spec is not None
    assert spec.suspend is True


def test_a_report_of_progress_is_no_news_but_is_remembered() -> None:
    store = Store()
    store.see_training(a_training(1))
    said = {"progress": {"percent": "4%"}, "checkpoint": {"iteration": 4, "uri": "s3://a/b"}}
    assert store.see_training(a_training(2, status=said)) is None
    assert world(store).training.status == said


def test_the_same_job_seen_again_is_no_news() -> None:
    store = Store()
    assert store.see_job(a_job(2)) == KEY
    assert store.see_job(a_job(3)) is None


def test_a_job_of_another_owner_is_not_this_trainings() -> None:
    store = Store()
    store.see_training(a_training())
    store.see_job(a_job(ownerReferences=[{"uid": "somebody-else", "controller": True}]))
    assert world(store).job is None


def test_a_pod_that_only_carries_the_label_is_not_this_trainings() -> None:
    store = Store()
    store.see_training(a_training())
    store.see_job(a_job())
    stray = versioned(raw_pod("stray"), 4, ownerReferences=[])
    store.see_pod(stray)
    assert world(store).pods == ()
    assert store.trained_by(KEY, stray["metadata"]["uid"]) is None


@pytest.mark.parametrize(
    "owners",
    [
        # Its Job was deleted with --cascade=orphan: the controller takes its reference off.
        [],
        # Of a SplatTraining of this name that was deleted a moment ago, with its Job.
        [{"uid": "gone", "controller": True, "name": "garden-0123abcd"}],
    ],
)
def test_a_pod_of_an_earlier_job_that_still_runs_is_waited_for(owners: list[Any]) -> None:
    store = Store()
    store.see_training(a_training())
    names = {**LABELS, "batch.kubernetes.io/job-name": "garden-0123abcd"}
    left = versioned(raw_pod(**running()), 3, ownerReferences=owners)
    left["metadata"]["labels"] = names
    store.see_pod(left)
    assert [pod.name for pod in world(store).stopping] == ["garden-x"]
    ended = versioned(raw_pod(**terminated(75)), 4, ownerReferences=owners)
    ended["metadata"]["labels"] = names
    store.see_pod(ended)
    assert world(store).stopping == ()


def test_a_pod_that_is_of_no_trainings_job_is_not_waited_for() -> None:
    store = Store()
    store.see_training(a_training())
    stray = versioned(raw_pod("stray", **running()), 4, ownerReferences=[])
    store.see_pod(stray)
    somebodys = {"uid": "x", "controller": True, "name": "garden-of-somebody"}
    store.see_pod(versioned(raw_pod("other", **running()), 5, ownerReferences=[somebodys]))
    assert world(store).stopping == ()


def test_only_a_pod_of_the_trainings_own_job_may_report_and_only_before_the_end() -> None:
    store = Store()
    store.see_training(a_training(1))
    store.see_job(a_job())
    store.see_pod(a_pod(**running()))
    assert store.trained_by(KEY, "uid-garden-x") == training()
    assert store.trained_by(Key("gardens", "other"), "uid-garden-x") is None
    assert store.trained_by(KEY, "uid-unknown") is None
    store.see_training(a_training(9, status={"phase": "Succeeded"}))
    assert store.trained_by(KEY, "uid-garden-x") is None


def test_a_pod_that_has_ended_or_is_gone_may_not_report_however_long_its_token_is_good() -> None:
    store = Store()
    store.see_training(a_training(1))
    store.see_job(a_job())
    store.see_pod(a_pod(**running()))
    store.see_pod(versioned(raw_pod("next", seconds=9, **running()), 5))
    store.see_pod(a_pod(6, **terminated(74)))
    assert store.trained_by(KEY, "uid-garden-x") is None
    assert store.trained_by(KEY, "uid-next") == training()
    store.forget_pod(versioned(raw_pod("next"), 7))
    assert store.trained_by(KEY, "uid-next") is None


def test_a_training_made_anew_under_the_same_name_replaces_the_old_one() -> None:
    store = Store()
    store.see_training(a_training(9))
    anew = versioned(raw_training(), 11, uid="another")
    assert store.see_training(anew) == KEY
    assert world(store).training.uid == "another"
    # What was still on its way of the old one does not bring it back.
    assert store.see_training(a_training(10)) is None
    assert world(store).training.uid == "another"
    # The old one's deletion, seen late, does not take the new one along.
    store.forget_training(a_training(10))
    assert world(store).training.uid == "another"


def test_nothing_is_kept_of_what_is_gone() -> None:
    store = Store()
    store.see_training(a_training())
    store.see_job(a_job())
    store.see_pod(a_pod())
    assert store.forget_pod(a_pod()) == KEY
    assert store.forget_job(a_job()) == KEY
    assert store.forget_training(a_training()) == KEY
    assert store.training_keys() == []
    assert store._families == {}
