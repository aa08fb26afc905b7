"""What the watches have brought: the newest of each object, found by its training."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from splat_operator.api import names
from splat_operator.decide import job_name
from splat_operator.world import Installation, Job, Pod, Training, Trouble, World
from splat_operator.world.fields import mapping, text

_METADATA = ("namespace", "name", "uid", "generation", "creationTimestamp", "deletionTimestamp")


class Key(NamedTuple):
    """A SplatTraining's namespace and name."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(slots=True)
class _Written:
    """A training as JSON: ten thousand of them as objects would take ten times the memory.

    `progress` is apart, because a report is no reason to decide anything.
    """

    essence: bytes
    progress: bytes
    version: int
    uid: str
    phase: str

    def read(self) -> Training:
        raw = json.loads(self.essence)
        if self.progress:
            raw["status"]["progress"] = json.loads(self.progress)
        return Training.from_api(raw)


@dataclass(slots=True)
class _Family:
    """A training and what carries its name: its own Jobs and pods, and perhaps others'."""

    training: _Written | None = None
    jobs: dict[str, tuple[int, Job]] = field(default_factory=dict)
    pods: dict[str, tuple[int, Pod]] = field(default_factory=dict)

    @property
    def empty(self) -> bool:
        return self.training is None and not self.jobs and not self.pods


class Store:
    """Every object as last seen. An older sight never replaces a newer one.

    Each `see_` gives the training's key where what was seen is news for it, else None.
    """

    def __init__(self) -> None:
        self._families: dict[Key, _Family] = {}

    def see_training(self, raw: Mapping[str, Any]) -> Key | None:
        """Take in a SplatTraining."""
        metadata = mapping(raw, "metadata")
        key = Key(text(metadata.get("namespace")), text(metadata.get("name")))
        family = self._families.setdefault(key, _Family())
        version = _version(metadata)
        uid = text(metadata.get("uid"))
        known = family.training
        if known and known.uid == uid and known.version >= version:
            return None
        family.training = _written(raw, version, uid)
        return None if known and known.essence == family.training.essence else key

    def forget_training(self, raw: Mapping[str, Any]) -> Key | None:
        """Take in that a SplatTraining is gone."""
        metadata = mapping(raw, "metadata")
        key = Key(text(metadata.get("namespace")), text(metadata.get("name")))
        family = self._families.get(key)
        if family and family.training and family.training.uid == metadata.get("uid"):
            family.training = None
            self._tidy(key, family)
        return key

    def see_job(self, raw: Mapping[str, Any]) -> Key | None:
        """Take in a Job."""
        key, metadata = _owner_key(raw)
        job = Job.from_api(raw)
        known = self._families.setdefault(key, _Family()).jobs
        return key if _newer(known, job.uid, _version(metadata), job) else None

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
        return key if _newer(known, pod.uid, _version(metadata), pod) else None

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
        return World(installation, training, job, _own_pods(job, family), trouble)

    def own_running_pod(self, key: Key, pod_uid: str) -> str:
        """Give the uid of the training that the pod works for now; empty where it does not.

        It must be a pod of the Job that this training controls, and the training not be over.
        """
        family = self._families.get(key)
        if family is None or family.training is None or pod_uid not in family.pods:
            return ""
        _, pod = family.pods[pod_uid]
        owners = {job.owner_uid for _, job in family.jobs.values() if job.uid == pod.job_uid}
        over = family.training.phase in ("Succeeded", "Failed")
        return family.training.uid if owners == {family.training.uid} and not over else ""

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


def _written(raw: Mapping[str, Any], version: int, uid: str) -> _Written:
    metadata, status = mapping(raw, "metadata"), dict(mapping(raw, "status"))
    progress = status.pop("progress", None)
    essence = {
        "metadata": {name: metadata[name] for name in _METADATA if name in metadata},
        "spec": raw.get("spec"),
        "status": status,
    }
    return _Written(
        essence=json.dumps(essence, separators=(",", ":")).encode(),
        progress=json.dumps(progress, separators=(",", ":")).encode() if progress else b"",
        version=version,
        uid=uid,
        phase=text(status.get("phase")),
    )


def _own_job(training: Training, family: _Family) -> Job | None:
    own = [job for _, job in family.jobs.values() if job.owner_uid == training.uid]
    name = job_name(training)
    # One that is on its way out may still be seen beside its successor of the same name.
    return min(own, key=lambda job: (job.deleting, job.name != name), default=None)


def _own_pods(job: Job | None, family: _Family) -> tuple[Pod, ...]:
    if job is None:
        return ()
    own = [pod for _, pod in family.pods.values() if pod.job_uid == job.uid]
    return tuple(sorted(own, key=lambda pod: (str(pod.created_at), pod.name)))


def _newer(known: dict[str, tuple[int, Any]], uid: str, version: int, value: Job | Pod) -> bool:
    before = known.get(uid)
    if before and before[0] >= version:
        return False
    known[uid] = (version, value)
    return before is None or before[1] != value


def _owner_key(raw: Mapping[str, Any]) -> tuple[Key, Mapping[str, Any]]:
    metadata = mapping(raw, "metadata")
    name = text(mapping(metadata, "labels").get(names.TRAINING_LABEL))
    return Key(text(metadata.get("namespace")), name), metadata


def _version(metadata: Mapping[str, Any]) -> int:
    """resourceVersions of one resource compare as numbers (KEP-5504)."""
    version = text(metadata.get("resourceVersion"))
    return int(version) if version.isdecimal() else 0
