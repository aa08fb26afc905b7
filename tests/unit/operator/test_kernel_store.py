"""What the watches bring of kernels: nodes, Jobs that compile, and whom that concerns."""

import json
import time
from typing import Any

import pytest

from splat_operator.api import names
from splat_operator.decide import CreateWarmUp, decide
from splat_operator.runtime.metrics import Metrics
from splat_operator.runtime.seeing import Seeing
from splat_operator.runtime.store import Key, Store
from splat_operator.world import Installation, KernelCacheSettings, World, parse_kernels
from splat_trainer.contract import KernelsDocument, KernelsOutcome

from .builders import NOW, at, finished, installation, raw_pod, raw_training, terminated

SETTINGS = installation(kernel_cache=KernelCacheSettings(claim_name="kernels"))
GARDEN, MEADOW = Key("gardens", "garden"), Key("gardens", "meadow")


def node(name: str, major: str, version: int = 1, ready: str = "True") -> dict[str, Any]:
    return {
        "metadata": {
            "name": name,
            "resourceVersion": str(version),
            "labels": {
                "nvidia.com/gpu.compute.major": major,
                "nvidia.com/gpu.compute.minor": "0",
            },
        },
        "status": {"conditions": [{"type": "Ready", "status": ready}]},
    }


def a_training(key: Key, **spec: Any) -> dict[str, Any]:
    raw = raw_training(**spec)
    metadata = {**raw["metadata"], "name": key.name, "uid": f"uid-{key.name}"}
    return {**raw, "metadata": {**metadata, "resourceVersion": "1"}}


def world(store: Store, key: Key, found: Installation = SETTINGS) -> World:
    seen = store.world(key, found, None)
    assert seen is not None
    return seen


@pytest.mark.parametrize("digits", [30, 400])
def test_a_size_that_nothing_has_does_not_keep_the_metrics_from_being_told(digits: int) -> None:
    text = json.dumps({"outcome": "Built", "message": "", "cacheBytes": "SIZE"})
    document = parse_kernels(text.replace('"SIZE"', "9" * digits))
    assert document is not None
    assert document.cache_bytes == 2**63 - 1
    metrics = Metrics()
    metrics.kernels.watch_caches(lambda: [("red", "claim k", document.cache_bytes or 0)])
    assert b"splat_kernels_cache_bytes" in metrics.text()


def test_a_training_that_nothing_brings_any_more_uses_no_cache() -> None:
    store = Store()
    store.kernels.see_node(node("a", "9"))
    store.see_training(a_training(GARDEN))
    world(store, GARDEN)
    assert store.kernels._users
    for gone in store.unseen_since("splattrainings", time.monotonic() + 1):
        store.forget("splattrainings", gone)
    assert not store.kernels._users


def wanted_job(store: Store, key: Key) -> dict[str, Any]:
    (action,) = decide(world(store, key), NOW).actions
    assert isinstance(action, CreateWarmUp)
    return action.manifest


def as_made(manifest: dict[str, Any], version: int, **status: Any) -> dict[str, Any]:
    metadata = {**manifest["metadata"], "uid": "warm-up-1", "resourceVersion": str(version)}
    return {**manifest, "metadata": metadata, "status": {"startTime": at(1), **status}}


def its_pod(manifest: dict[str, Any], version: int, document: KernelsDocument) -> dict[str, Any]:
    raw = raw_pod("kernels-x", **terminated(0, document.to_json()))
    metadata = {
        **raw["metadata"],
        "labels": manifest["metadata"]["labels"],
        "resourceVersion": str(version),
        "ownerReferences": [{"uid": "warm-up-1", "controller": True}],
    }
    return {**raw, "metadata": metadata}


def two_that_wait() -> tuple[Store, Seeing, dict[str, Any]]:
    store = Store()
    seeing = Seeing(store)
    store.kernels.see_node(node("a", "9"))
    for key in (GARDEN, MEADOW):
        seeing.training(a_training(key))
    manifest = wanted_job(store, GARDEN)
    assert wanted_job(store, MEADOW)["metadata"]["name"] == manifest["metadata"]["name"]
    return store, seeing, manifest


def test_the_end_of_a_job_that_compiles_is_news_for_all_who_wait() -> None:
    store, seeing, manifest = two_that_wait()
    assert set(seeing.job(as_made(manifest, 2))) == {GARDEN, MEADOW}
    assert set(seeing.job(as_made(manifest, 3, **finished("Complete")))) == {GARDEN, MEADOW}
    for key in (GARDEN, MEADOW):
        (found,) = world(store, key).kernels.warm_ups.values()
        assert found.job.complete


def test_an_older_or_a_repeated_sight_is_no_news() -> None:
    _, seeing, manifest = two_that_wait()
    seeing.job(as_made(manifest, 3, **finished("Complete")))
    assert seeing.job(as_made(manifest, 3, **finished("Complete"))) == ()
    assert seeing.job(as_made(manifest, 2)) == ()


def test_a_job_that_compiles_and_is_gone_is_made_again() -> None:
    store, seeing, manifest = two_that_wait()
    made = as_made(manifest, 2)
    seeing.job(made)
    assert decide(world(store, GARDEN), NOW).actions == ()
    assert set(seeing.no_job(made)) == {GARDEN, MEADOW}
    assert wanted_job(store, GARDEN) == manifest


def test_a_node_of_a_new_kind_is_news_and_one_that_only_reports_is_not() -> None:
    store, _, _ = two_that_wait()
    assert store.kernels.see_node(node("a", "9", 2)) == ()
    assert set(store.kernels.see_node(node("b", "8", 3))) == {GARDEN, MEADOW}
    arguments = wanted_job(store, GARDEN)["spec"]["template"]["spec"]["containers"][0]["args"]
    assert arguments[-2:] == ["8.0", "9.0"]
    assert set(store.kernels.forget_node(node("b", "8"))) == {GARDEN, MEADOW}
    assert store.kernels.forget_node(node("b", "8")) == ()


def test_a_node_without_a_gpu_is_nothing() -> None:
    store = Store()
    assert store.kernels.see_node({"metadata": {"name": "plain"}}) == ()
    assert store.kernels.nodes == ()


def test_a_node_that_loses_its_labels_is_forgotten() -> None:
    store, _, _ = two_that_wait()
    assert set(store.kernels.see_node({"metadata": {"name": "a"}})) == {GARDEN, MEADOW}
    assert store.kernels.nodes == ()


def test_what_a_build_told_reaches_the_metrics_and_the_next_builds_arguments() -> None:
    store, seeing, manifest = two_that_wait()
    told: list[KernelsDocument | None] = []
    store.kernels.told = told.append
    seeing.job(as_made(manifest, 2))
    document = KernelsDocument(
        outcome=KernelsOutcome.BUILT, key="a-key", build_seconds=90.0, cache_bytes=16_000_000
    )
    running = its_pod(manifest, 3, document)
    starting = {**running, "status": {"phase": "Running"}}
    seeing.pod(starting)
    ended = {**running, "metadata": {**running["metadata"], "resourceVersion": "4"}}
    assert set(seeing.pod(ended)) == {GARDEN, MEADOW}
    assert told == [document]
    assert list(store.kernels.cache_bytes()) == [("gardens", "claim kernels", 16_000_000)]
    assert world(store, MEADOW).kernels.keys_in_use == ("a-key",)


@pytest.mark.parametrize(
    ("seconds", "removed", "collected"),
    [(80, ("a-key",), True), (40, ("a-key",), False), (80, ("another",), False)],
)
def test_what_a_later_job_has_deleted_is_no_longer_there(
    seconds: float, removed: tuple[str, ...], collected: bool
) -> None:
    store, seeing, manifest = two_that_wait()
    seeing.job(as_made(manifest, 2, **finished("Complete", seconds=60)))
    built = KernelsDocument(outcome=KernelsOutcome.BUILT, message="", key="a-key")
    seeing.pod(its_pod(manifest, 3, built))
    # A build for other GPUs, in the same cache, which had no room for both.
    metadata = manifest["metadata"]
    labels = {**metadata["labels"], names.KERNELS_LABEL: "splat-kernels-other"}
    other = {**manifest, "metadata": {**metadata, "name": "splat-kernels-other", "labels": labels}}
    seeing.job(as_made(other, 4, **finished("Complete", seconds=seconds)))
    told = KernelsDocument(outcome=KernelsOutcome.BUILT, message="", key="b-key", removed=removed)
    seeing.pod(its_pod(other, 5, told))
    (found,) = world(store, GARDEN).kernels.warm_ups.values()
    assert found.collected == collected


def test_what_trainings_need_is_known_before_anything_is_decided_for_them() -> None:
    store, seeing, manifest = two_that_wait()
    seeing.job(as_made(manifest, 2, **finished("Complete")))
    built = KernelsDocument(outcome=KernelsOutcome.BUILT, message="", key="a-key")
    seeing.pod(its_pod(manifest, 3, built))
    store.kernels.drop(GARDEN)
    store.kernels.drop(MEADOW)
    other = Key("gardens", "other")
    seeing.training(a_training(other, image="another:1"))
    assert world(store, other).kernels.keys_in_use == ()
    for key in store.training_keys():
        store.look_at_kernels(key, SETTINGS)
    assert world(store, other).kernels.keys_in_use == ("a-key",)


@pytest.mark.parametrize(
    "status",
    [
        {"phase": "Succeeded"},
        {"phase": "Failed"},
        {"conditions": [{"type": "Succeeded", "status": "True"}]},
    ],
    ids=str,
)
def test_a_training_that_is_over_or_gone_needs_no_kernels(status: dict[str, Any]) -> None:
    store, seeing, manifest = two_that_wait()
    for key in (GARDEN, MEADOW):
        raw = {**a_training(key), "status": status}
        seeing.training({**raw, "metadata": {**raw["metadata"], "resourceVersion": "9"}})
        store.look_at_kernels(key, SETTINGS)
    store.look_at_kernels(Key("gardens", "nobody"), SETTINGS)
    assert seeing.job(as_made(manifest, 2)) == ()


def test_once_all_are_gone_nothing_is_in_use() -> None:
    _, seeing, manifest = two_that_wait()
    seeing.no_training(a_training(GARDEN))
    seeing.no_training(a_training(MEADOW))
    assert seeing.job(as_made(manifest, 2)) == ()
