"""What the watches have brought: the newest of each object, found by its training."""

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, NamedTuple, TypeVar

from splat_operator.api import Phase, names
from splat_operator.decide import is_job_name, job_name, kernel_plan
from splat_operator.runtime.kernel_store import KernelStore
from splat_operator.runtime.keys import Key
from splat_operator.world import Installation, Job, Pod, Training, Trouble, World, loads
from splat_operator.world.decoding import TOO_DEEP
from splat_operator.world.fields import mapping, text

__all__ = ["Key", "Sighting", "Store", "version_of"]

_METADATA = ("namespace", "name", "uid", "generation", "creationTimestamp", "deletionTimestamp")
_REPORTED = ("progress", "checkpoint")


class Sighting(NamedTuple):
    """An object that the store holds, as far as is needed to look whether it is still there."""

    namespace: str
    name: str
    uid: str
    key: Key


Seen = TypeVar("Seen", Job, Pod)


@dataclass(slots=True)
class _Sight(Generic[Seen]):
    """One Job or pod, its version, and when it was last brought by a watch or a list."""

    version: int
    value: Seen
    at: float


@dataclass(slots=True)
class _Written:
    """A training as JSON: ten thousand of them as objects would take ten times the memory.

    What trainers report is apart, because a report is no reason to decide anything.
    """

    essence: bytes
    reported: bytes
    version: int
    uid: str
    phase: str
    at: float

    def read(self) -> Training:
        raw = loads(self.essence)
        if self.reported:
            raw["status"] |= loads(self.reported)
        return Training.from_api(raw)


@dataclass(slots=True)
class _Family:
    """A training and what carries its name: its own Jobs and pods, and perhaps others'."""

    training: _Written | None = None
    jobs: dict[str, _Sight[Job]] = field(default_factory=dict)
    pods: dict[str, _Sight[Pod]] = field(default_factory=dict)

    @property
    def empty(self) -> bool:
        return self.training is None and not self.jobs and not self.pods


class Store:
    """Every object as last seen. An older sight never replaces a newer one.

    Each `see_` gives the training's key where what was seen is news for it, else None.
    """

    def __init__(self) -> None:
        self._families: dict[Key, _Family] = {}
        self.kernels = KernelStore()

    def see_training(self, raw: Mapping[str, Any]) -> Key | None:
        """Take in a SplatTraining."""
        metadata = mapping(raw, "metadata")
        key = Key(text(metadata.get("namespace")), text(metadata.get("name")))
        family = self._families.setdefault(key, _Family())
        version = version_of(metadata)
        uid = text(metadata.get("uid"))
        known = family.training
        if known and known.version >= version:
            if known.uid == uid:
                known.at = time.monotonic()
            return None  # of one that was deleted, at most: its successor is known
        family.training = _written(raw, version, uid)
        return None if known and known.essence == family.training.essence else key

    def forget_training(self, raw: Mapping[str, Any]) -> Key | None:
        """Take in that a SplatTraining is gone."""
        metadata = mapping(raw, "metadata")
        key = Key(text(metadata.get("namespace")), text(metadata.get("name")))
        family = self._families.get(key)
        if family and family.training and family.training.uid == metadata.get("uid"):
            family.training = None
            self.kernels.drop(key)
            self._tidy(key, family)
        return key

    def see_job(self, raw: Mapping[str, Any]) -> Key | None:
        """Take in a Job."""
        key, metadata = _owner_key(raw)
        job = Job.from_api(raw)
        known = self._families.setdefault(key, _Family()).jobs
        return key if _newer(known, version_of(metadata), job) else None

    def forget_job(self, raw: Mapping[str, Any]) -> Key | None:
        """Take in that a Job is gone."""
        key, metadata = _owner_key(raw)
        family = self._families.get(key)
        if family and family.jobs.pop(text(metadata.get("uid")), None):
            self._tidy(key, family)
            return key
        return None

    def see_pod(self, raw: Mapping[str, Any]) -> Key | None:
        """Take in a pod."""
        key, metadata = _owner_key(raw)
        pod = Pod.from_api(raw)
        known = self._families.setdefault(key, _Family()).pods
        return key if _newer(known, version_of(metadata), pod) else None

    def forget_pod(self, raw: Mapping[str, Any]) -> Key | None:
        """Take in that a pod is gone."""
        key, metadata = _owner_key(raw)
        family = self._families.get(key)
        if family and family.pods.pop(text(metadata.get("uid")), None):
            self._tidy(key, family)
            return key
        return None

    def world(self, key: Key, installation: Installation, trouble: Trouble | None) -> World | None:
        """Give all that a decision about one training needs; None where it is gone."""
        family = self._families.get(key)
        if family is None or family.training is None:
            return None
        training = family.training.read()
        job = _own_job(training, family)
        plan = kernel_plan(installation, training, self.kernels.nodes)
        return World(
            installation,
            training,
            job,
            _own_pods(job, family),
            trouble,
            self.kernels.seen_for(key, plan, over=training.finished),
            _stopping(training, job, family),
        )

    def look_at_kernels(self, key: Key, installation: Installation) -> None:
        """Remember on which kernels a training depends, as `world` does, and give nothing."""
        family = self._families.get(key)
        if family is None or family.training is None:
            return
        if family.training.phase in (Phase.SUCCEEDED, Phase.FAILED):
            self.kernels.drop(key)
            return
        training = family.training.read()
        plan = kernel_plan(installation, training, self.kernels.nodes)
        self.kernels.uses(key, plan, over=training.finished)

    def trained_by(self, key: Key, pod_uid: str) -> Training | None:
        """Give the training that the pod works for now; None where it does not.

        It must be a pod of the Job that this training controls, not have ended (its token is good
        for as long as it is there), and the training not be over.
        """
        family = self._families.get(key)
        if family is None or family.training is None or pod_uid not in family.pods:
            return None
        pod = family.pods[pod_uid].value
        if pod.ended:
            return None
        jobs = [sight.value for sight in family.jobs.values()]
        owners = {job.owner_uid for job in jobs if job.uid == pod.job_uid}
        over = family.training.phase in (Phase.SUCCEEDED, Phase.FAILED)
        own = owners == {family.training.uid} and not over
        return family.training.read() if own else None

    def unseen_since(self, plural: str, moment: float) -> list[Sighting]:
        """Give the objects that neither watch nor list has brought since a monotonic time.

        Raises ValueError for what is not kept here, such as nodes: those are among the kernels.
        """
        _check(plural)
        found = []
        for key, family in self._families.items():
            training = family.training
            if plural == names.PLURAL:
                if training and training.at < moment:
                    found.append(Sighting(*key, training.uid, key))
                continue
            sights: dict[str, Any] = family.jobs if plural == "jobs" else family.pods
            found += [
                Sighting(key.namespace, sight.value.name, uid, key)
                for uid, sight in sights.items()
                if sight.at < moment
            ]
        return found

    def forget(self, plural: str, sighting: Sighting) -> None:
        """Let go of an object that is not there any more; raises as `unseen_since`."""
        _check(plural)
        family = self._families.get(sighting.key)
        if family is None:
            return
        if plural == names.PLURAL:
            if family.training and family.training.uid == sighting.uid:
                family.training = None
                self.kernels.drop(sighting.key)
        else:
            (family.jobs if plural == "jobs" else family.pods).pop(sighting.uid, None)
        self._tidy(sighting.key, family)

    def awaits_its_job(self, key: Key) -> bool:
        """Whether a training has not ended and no Job of its name is seen."""
        family = self._families.get(key)
        if family is None or family.training is None or family.jobs:
            return False
        return family.training.phase not in (Phase.SUCCEEDED, Phase.FAILED)

    def training_keys(self) -> list[Key]:
        """Give the keys of all trainings."""
        return [key for key, family in self._families.items() if family.training]

    def phases(self) -> Iterator[str]:
        """Give the phase of each training, empty where none is written yet."""
        for family in self._families.values():
            if family.training:
                yield family.training.phase

    def _tidy(self, key: Key, family: _Family) -> None:
        if family.empty:
            del self._families[key]


def _check(plural: str) -> None:
    if plural not in (names.PLURAL, "jobs", "pods"):
        raise ValueError(f"no {plural} are kept here")


def _written(raw: Mapping[str, Any], version: int, uid: str) -> _Written:
    metadata, status = mapping(raw, "metadata"), dict(mapping(raw, "status"))
    reported = {name: status.pop(name) for name in _REPORTED if status.get(name)}
    essence = {
        "metadata": {name: metadata[name] for name in _METADATA if name in metadata},
        "spec": raw.get("spec"),
        "status": status,
    }
    try:
        written = _json(essence)
    except RecursionError:  # It could just be decoded. Validation refuses it by these words.
        written = _json({**essence, "spec": TOO_DEEP})
    return _Written(
        essence=written,
        reported=_json(reported) if reported else b"",
        version=version,
        uid=uid,
        phase=text(status.get("phase")),
        at=time.monotonic(),
    )


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _own_job(training: Training, family: _Family) -> Job | None:
    own = [one.value for one in family.jobs.values() if one.value.owner_uid == training.uid]
    name = job_name(training)
    # One that is on its way out may still be seen beside its successor of the same name.
    return min(own, key=lambda job: (job.deleting, job.name != name), default=None)


def _own_pods(job: Job | None, family: _Family) -> tuple[Pod, ...]:
    if job is None:
        return ()
    own = [one.value for one in family.pods.values() if one.value.job_uid == job.uid]
    return tuple(sorted(own, key=lambda pod: (str(pod.created_at), pod.name)))


def _stopping(training: Training, job: Job | None, family: _Family) -> tuple[Pod, ...]:
    """Give the pods of an earlier Job of this training, or of one of its name, that have not ended.

    They may still write to the same output. Of a Job that is gone the name is left.
    """
    if not family.pods:
        return ()
    uid = job.uid if job else ""
    return tuple(
        sight.value
        for sight in family.pods.values()
        if not sight.value.ended
        and (not uid or sight.value.job_uid != uid)
        and is_job_name(sight.value.job_name, training)
    )


def _newer(known: dict[str, _Sight[Seen]], version: int, value: Seen) -> bool:
    before = known.get(value.uid)
    now = time.monotonic()
    if before and before.version >= version:
        before.at = now
        return False
    known[value.uid] = _Sight(version, value, now)
    return before is None or before.value != value


def _owner_key(raw: Mapping[str, Any]) -> tuple[Key, Mapping[str, Any]]:
    metadata = mapping(raw, "metadata")
    name = text(mapping(metadata, "labels").get(names.TRAINING_LABEL))
    return Key(text(metadata.get("namespace")), name), metadata


def version_of(metadata: Mapping[str, Any]) -> int:
    """Give an object's version: those of one resource compare as numbers (KEP-5504)."""
    version = text(metadata.get("resourceVersion"))
    return int(version) if version.isdecimal() else 0
