"""Carries out a decision: actions first, then the status, once, and Events after it.

Each in its lane: Jobs before statuses, these before progress, and Events last.
"""

import logging
from collections.abc import Callable, Mapping
from typing import Any

from splat_operator.act import paths
from splat_operator.act.api_client import ApiClient, ApiError, name_taken
from splat_operator.act.definition import Definition
from splat_operator.act.lanes import Lane, Lanes
from splat_operator.act.news import News
from splat_operator.act.warm_ups import WarmUps
from splat_operator.api import Phase, names
from splat_operator.decide import Action, CreateJob, CreateWarmUp, Event, RedoWarmUp, UpdateJob
from splat_operator.decide.checkpoint import is_newer
from splat_operator.world import Job, Training
from splat_operator.world.fields import controller_uid, mapping, mappings, text

logger = logging.getLogger(__name__)

Raw = dict[str, Any]

_ENDS = (Phase.SUCCEEDED, Phase.FAILED)
_TRIES = 5
"""How often an end is written anew, as reports come between what was read and what is written."""

_WATCHED_BY = (names.MANAGED_BY_LABEL, names.TRAINING_LABEL)


class Actor:
    """Writes what was decided to the API server."""

    def __init__(self, client: ApiClient, instance: str, definition: Definition) -> None:
        """`instance` names this process in Events."""
        self._client = client
        self._definition = definition
        self._lanes = Lanes()
        self._news = News(client, self._lanes, instance)
        self._warm_ups = WarmUps(client)

    @property
    def events_lost(self) -> int:
        """How many Events were never posted."""
        return self._news.lost

    async def close(self) -> None:
        """Tell the last news."""
        await self._news.close()

    async def act(self, action: Action, job_seen: Callable[[Raw], object]) -> None:
        """Carry out one action; the Job that results is shown to `job_seen`.

        An object that is gone or has been replaced meanwhile is no error: the watch brings the
        news, and a new decision. Raises ApiError for everything else that is refused.
        """
        async with self._lanes.turn(Lane.JOB):
            await self._act(action, job_seen)

    async def _act(self, action: Action, job_seen: Callable[[Raw], object]) -> None:
        if isinstance(action, CreateJob):
            job_seen(await self._make(action.manifest))
            return
        if isinstance(action, CreateWarmUp | RedoWarmUp):
            await self._warm_ups.act(action, job_seen)
            return
        path = paths.job(action.namespace, action.name)
        try:
            if isinstance(action, UpdateJob):
                metadata: Raw = {"uid": action.uid}
                if action.annotations:
                    metadata["annotations"] = dict(action.annotations)
                body = {"metadata": metadata, "spec": dict(action.spec)}
                job_seen(await self._client.merge(path, body, manager=names.MANAGER))
            else:
                await self._client.delete(path, uid=action.uid, owned_first=action.pods_first)
        except ApiError as error:
            if not (error.gone or error.replaced):
                raise

    async def _make(self, manifest: Raw) -> Raw:
        """Make a Job, or give the one that is there: its name is its training's alone.

        A plain create costs the API server two thirds of a server-side apply.
        """
        metadata = manifest["metadata"]
        try:
            return await self._client.create(
                paths.jobs(metadata["namespace"]), manifest, manager=names.MANAGER
            )
        except ApiError as error:
            if not error.conflict:
                raise
            # Made before a restart or by the leader before, and the watch has not brought it yet.
            found = await self._client.get(paths.job(metadata["namespace"], metadata["name"]))
            owner = metadata["ownerReferences"][0]["uid"]
            there = mapping(found, "metadata")
            if controller_uid(there) != owner:
                raise name_taken(metadata["name"]) from error
            return await self._labelled(found, metadata["labels"])

    async def _labelled(self, job: Raw, labels: Mapping[str, str]) -> Raw:
        """Give a Job of ours the labels again that somebody took off: the watches go by them."""
        metadata = job["metadata"]
        wanted = {name: labels[name] for name in _WATCHED_BY if name in labels}
        if wanted.items() <= mapping(metadata, "labels").items():
            return job
        body = {"metadata": {"uid": metadata["uid"], "labels": wanted}}
        path = paths.job(metadata["namespace"], metadata["name"])
        return await self._client.merge(path, body, manager=names.MANAGER)

    async def write_status(self, training: Training, status: Mapping[str, Any]) -> Raw | None:
        """Write the whole status, as far as the installed definition takes it.

        Gives the training as it is now, None where it is gone or another has its name. Raises
        ApiError for all else that is refused: nobody else would bring the status about.
        """
        fitted = self._definition.fitted(status)
        body = _body(training.namespace, training.name, training.uid, fitted)
        path = paths.training_status(training.namespace, training.name)
        try:
            async with self._lanes.turn(Lane.STATUS):
                if fitted.get("phase") in _ENDS:
                    return await self._write_end(training, path, body)
                return await self._client.apply(path, body, manager=names.MANAGER, force=True)
        except ApiError as error:
            if error.gone or error.replaced:
                return None
            if error.worth_telling:
                self._definition.refused(error)
            raise

    async def _write_end(self, training: Training, path: str, body: Raw) -> Raw | None:
        """Write that all is over into the very training that it is of; None where that is gone.

        Of a status the API server heeds no uid: it keeps the metadata that is there. Another
        status that meets a later training of the same name is soon that one's own; an end would
        keep it from ever being run.
        """
        tries = 0
        while True:
            found = await self._client.get(paths.training(training.namespace, training.name))
            if mapping(found, "metadata").get("uid") != training.uid:
                return None
            body["metadata"]["resourceVersion"] = found["metadata"]["resourceVersion"]
            try:
                return await self._client.apply(path, body, manager=names.MANAGER, force=True)
            except ApiError as error:
                tries += 1
                if not error.conflict or tries == _TRIES:
                    raise

    async def write_report(
        self, namespace: str, name: str, uid: str, report: Mapping[str, Any]
    ) -> None:
        """Write `progress` and `checkpoint` of a status, by a field manager of their own.

        Without force: at the end the operator takes these fields over, and a report that comes
        late meets a conflict, which is an ApiError. Of a checkpoint that a stopped pod had told
        of the operator is the manager too: that one gives way to a newer.
        """
        body = _body(namespace, name, uid, self._definition.fitted(report))
        path = paths.training_status(namespace, name)
        manager = names.PROGRESS_MANAGER
        async with self._lanes.turn(Lane.PROGRESS):
            try:
                await self._client.apply_unread(path, body, manager=manager, force=False)
            except ApiError as error:
                if not _about_checkpoint(error):
                    raise
                found = await self._client.get(paths.training(namespace, name))
                if found["metadata"]["uid"] != uid or not _gives_way(found, report):
                    raise
                # Nothing that was written since then is overwritten.
                body["metadata"]["resourceVersion"] = found["metadata"]["resourceVersion"]
                await self._client.apply_unread(path, body, manager=manager, force=True)

    async def words_on(self, job: Job) -> str:
        """Give why the Job controller gets no pod for a Job, in the API server's words.

        They stand in the newest Event of its kind; empty where there is none, or none is shown.
        """
        selector = f"regarding.uid={job.uid},reason=FailedCreate"
        query = {"fieldSelector": selector, "limit": "20"}
        try:
            found = await self._client.get(paths.events(job.namespace), query)
        except ApiError as error:
            logger.warning("the Events of Job %s are not shown: %s", job.name, error)
            return ""
        events = sorted(mappings(found.get("items")), key=_when)
        return text(events[-1].get("note")).removeprefix("Error creating: ") if events else ""

    def tell(self, training: Training, event: Event) -> None:
        """Post an Event when there is time for it, as it is no more than news."""
        self._news.tell(training, event)


def _body(namespace: str, name: str, uid: str, status: Mapping[str, Any]) -> Raw:
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.KIND,
        # The uid keeps it from making anything; of what is there the API server heeds none.
        "metadata": {"namespace": namespace, "name": name, "uid": uid},
        "status": dict(status),
    }


def _about_checkpoint(error: ApiError) -> bool:
    """Whether `status.checkpoint` is all that another manager holds against a write."""
    field = ".status.checkpoint"
    others = [one for one in error.fields if one != field and not one.startswith(f"{field}.")]
    return error.conflict and bool(error.fields) and not others


def _gives_way(found: Raw, report: Mapping[str, Any]) -> bool:
    """Whether a training goes on, and its checkpoint is older than that of a report."""
    training = Training.from_api(found)
    written = mapping(training.status, "checkpoint")
    return not training.finished and is_newer(mapping(report, "checkpoint"), written)


def _when(event: Mapping[str, Any]) -> str:
    """Give when an Event was last told, in whichever field it says so."""
    series = event.get("series")
    last = series.get("lastObservedTime") if isinstance(series, Mapping) else None
    return text(last or event.get("deprecatedLastTimestamp") or event.get("eventTime"))
