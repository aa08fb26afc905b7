"""One reconcile after the other, until there is nothing to do: no event need come in between."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from splat_operator.act import ApiError
from splat_operator.decide import Action, CreateJob, DeleteJob, Event, UpdateJob
from splat_operator.runtime.metrics import Metrics
from splat_operator.runtime.reconciler import Reconciler
from splat_operator.runtime.store import Store
from splat_operator.world import Job, Training

from .builders import condition, installation
from .test_store import KEY, LABELS, a_training


class Api:
    """Remembers what is written to it; refuses Jobs as long as `refusal` is set."""

    def __init__(self) -> None:
        self.version = 100
        self.training = a_training()
        self.refusal: ApiError | None = None
        self.actions: list[Action] = []
        self.told: list[str] = []
        self.statuses = 0

    async def act(self, action: Action, job_seen: Callable[[dict[str, Any]], object]) -> None:
        if self.refusal:
            raise self.refusal
        self.actions.append(action)
        if isinstance(action, CreateJob):
            manifest = action.manifest
            metadata = {**manifest["metadata"], "uid": "job-1", "labels": LABELS}
            job_seen({**manifest, "metadata": {**metadata, "resourceVersion": self._next()}})

    async def write_status(self, training: Training, status: Mapping[str, Any]) -> dict[str, Any]:
        self.statuses += 1
        metadata = {**self.training["metadata"], "resourceVersion": self._next()}
        self.training = {**self.training, "metadata": metadata, "status": dict(status)}
        return self.training

    async def words_on(self, job: Job) -> str:
        return "exceeded quota: gpus"

    def tell(self, training: Training, event: Event) -> None:
        self.told.append(event.reason)

    def _next(self) -> str:
        self.version += 1
        return str(self.version)


def reconciler(api: Api, **spec: Any) -> tuple[Reconciler, Store]:
    store = Store()
    api.training = a_training(**spec)
    store.see_training(api.training)
    made = Reconciler(store, api, installation, Metrics())  # type: ignore[arg-type]
    return made, store


def until_quiet(one: Reconciler) -> float | None:
    """Come back as long as that is asked for at once; gives the last answer."""
    for _ in range(10):
        after = asyncio.run(one.reconcile(KEY))
        if after != 0.0:
            return after
    raise AssertionError("it never comes to rest")


def test_a_new_training_gets_its_job_and_one_status() -> None:
    api = Api()
    one, _ = reconciler(api)
    until_quiet(one)
    assert [type(action) for action in api.actions] == [CreateJob]
    assert api.statuses == 1
    assert api.told == ["JobCreated"]


def test_the_job_comes_before_the_status_and_each_has_a_turn_of_its_own() -> None:
    api = Api()
    one, store = reconciler(api)
    assert store.awaits_its_job(KEY)
    assert asyncio.run(one.reconcile(KEY)) == 0.0
    assert [type(action) for action in api.actions] == [CreateJob]
    assert api.statuses == 0
    assert not store.awaits_its_job(KEY)
    asyncio.run(one.reconcile(KEY))
    assert (len(api.actions), api.statuses) == (1, 1)


def test_a_refusal_is_told_once_and_healed_without_an_event() -> None:
    api = Api()
    api.refusal = ApiError(403, "Forbidden", "exceeded quota: no-jobs")
    one, _ = reconciler(api, suspend=True)
    for _ in range(3):
        with pytest.raises(ApiError):
            asyncio.run(one.reconcile(KEY))
    assert api.statuses == 1
    assert api.told == ["JobRefused"]
    api.refusal = None
    until_quiet(one)
    assert condition(api.training["status"], "Accepted")["status"] == "True"
    assert api.training["status"]["phase"] == "Suspended"


def test_a_change_of_the_job_that_went_through_at_last_is_told_without_an_event() -> None:
    api = Api()
    one, store = reconciler(api)
    until_quiet(one)
    made = api.actions[0].manifest  # type: ignore[union-attr]
    metadata = {**made["metadata"], "uid": "job-1", "labels": LABELS, "resourceVersion": "200"}
    job = {**made, "metadata": metadata, "status": {"startTime": "2026-01-01T00:00:00Z"}}
    store.see_job(job)
    until_quiet(one)
    api.version = 300
    api.training = {
        **api.training,
        "metadata": {**api.training["metadata"], "generation": 2, "resourceVersion": "300"},
        "spec": {**api.training["spec"], "maxRetries": 9},
    }
    store.see_training(api.training)
    api.refusal = ApiError(500, "InternalError", "failed calling webhook: connection refused")
    with pytest.raises(ApiError):
        asyncio.run(one.reconcile(KEY))
    assert condition(api.training["status"], "Accepted")["reason"] == "JobRefused"
    api.refusal = None
    assert asyncio.run(one.reconcile(KEY)) == 0.0
    assert isinstance(api.actions[-1], UpdateJob)
    # What the API server answered is in the store, so the watch brings no news of it.
    changed = {**job, "spec": {**job["spec"], "backoffLimit": 9}}
    store.see_job({**changed, "metadata": {**metadata, "resourceVersion": "302"}})
    until_quiet(one)
    assert condition(api.training["status"], "Accepted")["status"] == "True"


def test_a_training_that_fails_to_start_takes_its_job_along_without_an_event() -> None:
    api = Api()
    one, store = reconciler(api, startDeadlineSeconds=1)
    until_quiet(one)
    job = {
        "metadata": {
            **api.actions[0].manifest["metadata"],  # type: ignore[union-attr]
            "uid": "job-1",
            "resourceVersion": "200",
        },
        "status": {"startTime": "2026-01-01T00:00:00Z"},
        "spec": {"backoffLimit": 3},
    }
    store.see_job(job)
    until_quiet(one)
    assert api.training["status"]["phase"] == "Failed"
    assert isinstance(api.actions[-1], DeleteJob)


def test_a_webhook_that_fails_is_told_and_not_only_logged() -> None:
    api = Api()
    one, _ = reconciler(api)
    words = 'Internal error occurred: failed calling webhook "jobs.example.com": EOF'
    api.refusal = ApiError(500, "InternalError", words)
    with pytest.raises(ApiError):
        asyncio.run(one.reconcile(KEY))
    accepted = condition(api.training["status"], "Accepted")
    assert (accepted["status"], accepted["reason"]) == ("False", "JobRefused")
    assert "failed calling webhook" in accepted["message"]


def test_a_namespace_on_its_way_out_is_no_trouble() -> None:
    api = Api()
    api.refusal = ApiError(403, "Forbidden", "being terminated", ("NamespaceTerminating",))
    one, _ = reconciler(api)
    assert asyncio.run(one.reconcile(KEY)) is None
    assert api.statuses == 0


def test_a_server_that_is_away_is_no_fault_of_the_trainings() -> None:
    api = Api()
    api.refusal = ApiError(503, "ServiceUnavailable", "not now")
    one, _ = reconciler(api)
    with pytest.raises(ApiError):
        asyncio.run(one.reconcile(KEY))
    assert api.statuses == 0


def test_a_training_that_is_gone_needs_nothing() -> None:
    api = Api()
    one, store = reconciler(api)
    store.forget_training(api.training)
    assert asyncio.run(one.reconcile(KEY)) is None
    assert api.actions == []


def test_a_switch_in_the_spec_reaches_the_job() -> None:
    api = Api()
    one, store = reconciler(api)
    until_quiet(one)
    changed = a_training(900, generation=2, suspend=True, status=api.training["status"])
    store.see_training(changed)
    asyncio.run(one.reconcile(KEY))
    assert isinstance(api.actions[-1], UpdateJob)
    assert api.actions[-1].spec == {"suspend": True}
