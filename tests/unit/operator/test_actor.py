"""A Job is made once: what is there already is taken, if it is this training's own."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from splat_operator.act import Actor, ApiClient, ApiError, Definition
from splat_operator.decide import Action, CreateJob, CreateWarmUp, DeleteJob, UpdateJob

from .builders import job, raw_training, training

Call = Callable[[Actor], Awaitable[Any]]

MANAGED, OF_TRAINING = "app.kubernetes.io/managed-by", "splatting.dev/training"
JOBS = "/apis/batch/v1/namespaces/{namespace}/jobs"
MANIFEST: dict[str, Any] = {
    "kind": "Job",
    "metadata": {
        "namespace": "gardens",
        "name": "garden-1",
        "labels": {MANAGED: "splat-operator", OF_TRAINING: "garden", "team": "maps"},
        "ownerReferences": [{"uid": "training-1", "controller": True}],
    },
}


MAKE = CreateJob(MANIFEST)


class JobsOfServer:
    """A server that keeps Jobs by name and takes no name twice."""

    def __init__(self, *there: dict[str, Any]) -> None:
        self.jobs = {job["metadata"]["name"]: job for job in there}
        self.asked: list[str] = []

    def application(self) -> web.Application:
        """Give the web application."""
        application = web.Application()
        application.router.add_post(JOBS, self._create)
        application.router.add_get(JOBS + "/{name}", self._read)
        application.router.add_patch(JOBS + "/{name}", self._merge)
        return application

    async def _create(self, request: web.Request) -> web.Response:
        self.asked.append("create")
        job = json.loads(await request.text())
        if job["metadata"]["name"] in self.jobs:
            words = {"reason": "AlreadyExists", "message": "it is there"}
            return web.json_response(words, status=409)
        self.jobs[job["metadata"]["name"]] = job
        return web.json_response(job, status=201)

    async def _merge(self, request: web.Request) -> web.Response:
        self.asked.append("merge")
        job = self.jobs[request.match_info["name"]]
        body = json.loads(await request.text())
        patch = body["metadata"]
        assert patch["uid"] == job["metadata"]["uid"]
        for name in ("labels", "annotations"):
            job["metadata"][name] = {**job["metadata"].get(name, {}), **patch.get(name, {})}
        job["spec"] = {**job.get("spec", {}), **body.get("spec", {})}
        return web.json_response(job)

    async def _read(self, request: web.Request) -> web.Response:
        self.asked.append("get")
        return web.json_response(self.jobs[request.match_info["name"]])


def done_by_actor(application: web.Application, call: Call) -> Any:
    """What a call of an actor's gives, whose API server is an application."""

    async def run() -> Any:
        async with TestServer(application) as serving, aiohttp.ClientSession() as session:
            client = ApiClient(session, str(serving.make_url("/")))
            return await call(Actor(client, "me", Definition(client)))

    return asyncio.run(run())


def make(server: JobsOfServer, action: Action = MAKE) -> list[dict[str, Any]]:
    """Let the actor make a Job; gives the Jobs that it showed."""
    shown: list[dict[str, Any]] = []

    done_by_actor(server.application(), lambda actor: actor.act(action, shown.append))
    return shown


def test_a_new_job_costs_one_request() -> None:
    server = JobsOfServer()
    assert make(server) == [MANIFEST]
    assert server.asked == ["create"]


def test_a_job_that_is_there_already_is_taken_as_it_is() -> None:
    before = {**MANIFEST, "spec": {"suspend": True}}
    assert make(JobsOfServer(before)) == [before]


def test_a_job_of_ours_whose_labels_somebody_took_off_gets_them_again() -> None:
    """Without them no watch brings it, and it would be made again for ever."""
    bare = {**MANIFEST["metadata"], "uid": "job-1", "labels": {"queue": "another"}}
    server = JobsOfServer({**MANIFEST, "metadata": bare})
    (shown,) = make(server)
    labels = {MANAGED: "splat-operator", OF_TRAINING: "garden", "queue": "another"}
    assert shown["metadata"]["labels"] == labels
    assert server.asked == ["create", "get", "merge"]


def test_who_suspends_a_job_is_written_in_the_same_request() -> None:
    there = {**MANIFEST, "metadata": {**MANIFEST["metadata"], "uid": "job-1"}}
    own = {"splatting.dev/suspended": "true"}
    action = UpdateJob("gardens", "garden-1", "job-1", {"suspend": True}, own)
    server = JobsOfServer(there)
    (shown,) = make(server, action)
    assert server.asked == ["merge"]
    assert (shown["spec"], shown["metadata"]["annotations"]) == ({"suspend": True}, own)


def test_a_namesake_of_somebody_elses_is_not_taken() -> None:
    namesake = {"metadata": {"namespace": "gardens", "name": "garden-1"}}
    with pytest.raises(ApiError) as raised:
        make(JobsOfServer(namesake))
    # Told in the training, and tried again at longer and longer intervals.
    assert raised.value.refusal
    assert "Job garden-1 is there" in raised.value.message


def test_events_that_are_not_shown_keep_nothing_from_being_told() -> None:
    async def forbid(request: web.Request) -> web.Response:
        return web.json_response({"reason": "Forbidden", "message": "no list"}, status=403)

    application = web.Application()
    application.router.add_get("/apis/events.k8s.io/v1/namespaces/gardens/events", forbid)
    assert done_by_actor(application, lambda actor: actor.words_on(job(training()))) == ""


@pytest.mark.parametrize(("code", "told"), [(500, True), (422, True), (503, False), (429, False)])
def test_a_status_that_is_refused_is_told_and_one_that_has_to_wait_is_not(
    code: int, told: bool, caplog: pytest.LogCaptureFixture
) -> None:
    words = ".status.gpu: field not declared in schema"

    async def refuse(request: web.Request) -> web.Response:
        return web.json_response({"reason": "", "message": words}, status=code)

    application = web.Application()
    path = "/apis/splatting.dev/v1alpha1/namespaces/gardens/splattrainings/garden/status"
    application.router.add_patch(path, refuse)
    with pytest.raises(ApiError):
        done_by_actor(application, lambda actor: actor.write_status(training(), {}))
    assert (words in caplog.text) == told


CANNOT = 'Operation cannot be fulfilled on splattrainings.splatting.dev "garden": '
ELSEWHERE = (
    # As the storage, a deletion and a server-side apply say it.
    "StorageError: invalid object, Code: 4, Key: /a, ResourceVersion: 0, AdditionalErrorMsg: "
    "Precondition failed: UID in precondition: 1, UID in object meta: 2",
    "the UID in the precondition (1) does not match the UID in record (2). The object might have "
    "been deleted and then recreated",
    "uid mismatch: the provided object specified uid 1, and no existing object was found",
)
IN_BETWEEN = (
    "the object has been modified; please apply your changes to the latest version and try again",
    "Precondition failed: ResourceVersion in precondition: 1, ResourceVersion in object meta: 2",
    "admission webhook druid.uid-mismatch.example denied the request: not now",
)


def conflicting(words: str, status: int = 409, **details: Any) -> Callable[[Call], Any]:
    """Give what makes a call of an actor's, of which the server says that it conflicts."""

    async def refuse(request: web.Request) -> web.Response:
        body = {"reason": "Conflict", "message": CANNOT + words, "details": details}
        return web.json_response(body, status=status)

    def run(call: Call) -> Any:
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", refuse)
        return done_by_actor(application, call)

    return run


CALLS: dict[str, Call] = {
    "status": lambda actor: actor.write_status(training(), {}),
    "delete": lambda actor: actor.act(DeleteJob("gardens", "garden-1", "job-1"), print),
    "update": lambda actor: actor.act(UpdateJob("gardens", "garden-1", "job-1", {}), print),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize("words", ELSEWHERE, ids=["storage", "deletion", "patch"])
def test_what_was_meant_for_an_object_that_another_has_replaced_is_let_go(
    words: str, call: Call
) -> None:
    assert conflicting(words)(call) is None


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize("words", IN_BETWEEN, ids=["version", "storage", "webhook"])
def test_what_met_any_other_conflict_is_tried_again(words: str, call: Call) -> None:
    with pytest.raises(ApiError) as raised:
        conflicting(words)(call)
    assert not raised.value.refusal


def test_a_job_that_another_has_replaced_is_not_changed_and_that_is_no_fault() -> None:
    causes = [{"reason": "FieldValueInvalid", "field": "metadata.uid"}]
    meets = conflicting("field is immutable", 422, causes=causes)
    assert meets(CALLS["update"]) is None
    with pytest.raises(ApiError):
        conflicting("field is immutable", 422)(CALLS["update"])


WARM_UP = {
    "kind": "Job",
    "metadata": {
        "namespace": "gardens",
        "name": "splat-kernels-1",
        "labels": {"splatting.dev/kernels": "splat-kernels-1"},
        "annotations": {},
    },
}


def test_whoever_comes_second_to_a_warm_up_sees_the_firsts() -> None:
    server = JobsOfServer()
    assert make(server, CreateWarmUp(WARM_UP)) == [WARM_UP]
    first = {**WARM_UP, "spec": {"backoffLimit": 2}}
    assert make(JobsOfServer(first), CreateWarmUp(WARM_UP)) == [first]


def test_a_namesake_of_a_warm_up_is_no_warm_up() -> None:
    namesake = {"metadata": {"namespace": "gardens", "name": "splat-kernels-1"}}
    with pytest.raises(ApiError) as raised:
        make(JobsOfServer(namesake), CreateWarmUp(WARM_UP))
    assert raised.value.refusal


STATUS = "/apis/splatting.dev/v1alpha1/namespaces/gardens/splattrainings/garden"


class StatusOfServer:
    """A server where the operator is the manager of a checkpoint, and perhaps of progress."""

    def __init__(self, iteration: int, *others: str, phase: str = "Unknown") -> None:
        self.conflicts = (".status.checkpoint.iteration", ".status.checkpoint.uri", *others)
        self.status: dict[str, Any] = {
            "checkpoint": {"iteration": iteration, "uri": "pvc://a/b"},
            "conditions": [{"type": "Succeeded", "status": phase}],
        }
        self.asked: list[str] = []

    def application(self) -> web.Application:
        """Give the web application."""
        application = web.Application()
        application.router.add_patch(f"{STATUS}/status", self._apply)
        application.router.add_get(STATUS, self._read)
        return application

    async def _apply(self, request: web.Request) -> web.Response:
        body, forced = json.loads(await request.text()), request.query["force"] == "true"
        assert request.query["fieldManager"] == "splat-operator-progress"
        self.asked.append("force" if forced else "apply")
        if not forced:
            causes = [{"reason": "FieldManagerConflict", "field": one} for one in self.conflicts]
            words = {"reason": "Conflict", "message": "conflicts", "details": {"causes": causes}}
            return web.json_response(words, status=409)
        if body["metadata"]["resourceVersion"] != "7":
            return web.json_response({"reason": "Conflict", "message": "it is 7"}, status=409)
        self.status |= body["status"]
        return web.json_response({})

    async def _read(self, request: web.Request) -> web.Response:
        self.asked.append("get")
        found = raw_training(status=self.status)
        found["metadata"]["resourceVersion"] = "7"
        return web.json_response(found)


NEWER = {"progress": {"iteration": 58}, "checkpoint": {"iteration": 50, "uri": "pvc://a/c"}}


def report(server: StatusOfServer) -> None:
    done_by_actor(
        server.application(),
        lambda actor: actor.write_report("gardens", "garden", training().uid, NEWER),
    )


def test_a_checkpoint_that_the_operator_wrote_gives_way_to_a_newer_that_is_reported() -> None:
    server = StatusOfServer(40)
    report(server)
    assert server.asked == ["apply", "get", "force"]
    assert server.status["checkpoint"] == NEWER["checkpoint"]
    assert server.status["progress"] == NEWER["progress"]


@pytest.mark.parametrize(
    ("server", "asked"),
    [
        # A pod's last word, which is newer than this report of it.
        (StatusOfServer(51), ["apply", "get"]),
        (StatusOfServer(40, phase="True"), ["apply", "get"]),
        (StatusOfServer(40, phase="False"), ["apply", "get"]),
        # At the end the operator has taken progress over.
        (StatusOfServer(40, ".status.progress.stage"), ["apply"]),
    ],
)
def test_a_report_that_comes_late_overwrites_nothing(
    server: StatusOfServer, asked: list[str]
) -> None:
    before = dict(server.status)
    with pytest.raises(ApiError) as raised:
        report(server)
    assert raised.value.conflict
    assert (server.asked, server.status) == (asked, before)


class TrainingThatChanges:
    """A training in a server, which others write to `busy` times between a read and a write."""

    def __init__(self, uid: str, busy: int = 0) -> None:
        self.uid, self.busy, self.version = uid, busy, 1
        self.status: dict[str, Any] = {}

    def application(self) -> web.Application:
        application = web.Application()
        application.router.add_patch(f"{STATUS}/status", self._apply)
        application.router.add_get(STATUS, self._read)
        return application

    async def _read(self, request: web.Request) -> web.Response:
        return web.json_response(self._object())

    async def _apply(self, request: web.Request) -> web.Response:
        body = json.loads(await request.text())
        if self.busy:
            self.busy, self.version = self.busy - 1, self.version + 1
        if body["metadata"].get("resourceVersion", str(self.version)) != str(self.version):
            words = {"reason": "Conflict", "message": "the object has been modified"}
            return web.json_response(words, status=409)
        self.status, self.version = body["status"], self.version + 1
        return web.json_response(self._object())

    def _object(self) -> dict[str, Any]:
        found = raw_training(status=self.status)
        found["metadata"] |= {"uid": self.uid, "resourceVersion": str(self.version)}
        return found


def written(server: TrainingThatChanges, phase: str) -> Any:
    return done_by_actor(
        server.application(), lambda actor: actor.write_status(training(), {"phase": phase})
    )


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
def test_an_end_is_never_written_into_a_later_training_of_the_same_name(phase: str) -> None:
    server = TrainingThatChanges("of-a-later-one")
    assert written(server, phase) is None
    assert server.status == {}


def test_an_end_is_written_though_reports_come_in_between() -> None:
    server = TrainingThatChanges(training().uid, busy=3)
    assert written(server, "Succeeded")["status"] == {"phase": "Succeeded"}
    assert server.status == {"phase": "Succeeded"}


def test_an_end_that_others_are_always_before_is_told_to_whoever_tries_again() -> None:
    with pytest.raises(ApiError):
        written(TrainingThatChanges(training().uid, busy=100), "Failed")
