"""What is seen of kernels: nodes with GPUs, the Jobs that fill caches, and who waits for them."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from splat_operator.api import names
from splat_operator.decide.kernels import KernelPlan
from splat_operator.runtime.keys import Key, WarmUpKey
from splat_operator.world import GpuNode, Job, KernelsSeen, Pod, WarmUp
from splat_operator.world.fields import mapping, text
from splat_operator.world.kernels import access_modes_of
from splat_trainer.contract import KernelsDocument


class WarmUpObject(NamedTuple):
    """A Job that fills a cache, or a pod of one, as far as one looks whether it is there."""

    key: WarmUpKey
    name: str
    uid: str


class NodeObject(NamedTuple):
    """A node with GPUs, as far as one looks whether it is there."""

    name: str
    uid: str


@dataclass(slots=True)
class _NodeSight:
    """One node, and when it was last brought by a watch or a list."""

    value: GpuNode
    uid: str
    at: float


@dataclass(slots=True)
class _Sight:
    """One Job or pod, its version, and when it was last brought by a watch or a list."""

    version: int
    value: Any
    at: float


@dataclass(slots=True)
class _Family:
    """The Jobs and pods that carry one warm-up's name."""

    cache: str = ""
    access_modes: tuple[str, ...] = ()
    jobs: dict[str, _Sight] = field(default_factory=dict)
    pods: dict[str, _Sight] = field(default_factory=dict)

    def warm_up(self) -> WarmUp | None:
        """Give the Job that is there, and its own pods."""
        jobs = [sight.value for sight in self.jobs.values()]
        job: Job | None = min(jobs, key=lambda one: one.deleting, default=None)
        if job is None:
            return None
        own = [one.value for one in self.pods.values() if one.value.job_uid == job.uid]
        pods = tuple(sorted(own, key=lambda pod: (str(pod.created_at), pod.name)))
        return WarmUp(job, pods, self.access_modes)


Told = Callable[[KernelsDocument | None], None]
"""Is told of each pod of a warm-up that was seen to end."""


def _nobody(document: KernelsDocument | None) -> None:
    """Whom to tell when nobody asked."""


class KernelStore:
    """Nodes and warm-ups as last seen, and the trainings that depend on them.

    Each `see_` and `forget_` gives the trainings for which it is news.
    """

    def __init__(self) -> None:
        self._nodes: dict[str, _NodeSight] = {}
        self._families: dict[WarmUpKey, _Family] = {}
        self._users: dict[WarmUpKey, set[Key]] = {}
        self._used: dict[Key, tuple[WarmUpKey, ...]] = {}
        self.told: Told = _nobody

    @property
    def nodes(self) -> tuple[GpuNode, ...]:
        """The nodes with GPUs."""
        return tuple(sight.value for sight in self._nodes.values())

    def see_node(self, raw: Mapping[str, Any]) -> tuple[Key, ...]:
        """Take in a node; news where its GPUs are, or whether it is ready."""
        metadata = mapping(raw, "metadata")
        name, node = text(metadata.get("name")), GpuNode.from_api(raw)
        before = self._nodes.get(name)
        if node:
            self._nodes[name] = _NodeSight(node, text(metadata.get("uid")), time.monotonic())
        elif before:
            del self._nodes[name]
        return () if node == (before.value if before else None) else tuple(self._used)

    def forget_node(self, raw: Mapping[str, Any]) -> tuple[Key, ...]:
        """Take in that a node is gone."""
        gone = self._nodes.pop(text(mapping(raw, "metadata").get("name")), None)
        return tuple(self._used) if gone else ()

    def nodes_unseen_since(self, moment: float) -> list[NodeObject]:
        """Give the nodes that neither watch nor list has brought since a monotonic time."""
        return [
            NodeObject(name, sight.uid) for name, sight in self._nodes.items() if sight.at < moment
        ]

    def forget_node_object(self, gone: NodeObject) -> tuple[Key, ...]:
        """Let go of a node that is not there any more, and not of a later one of its name."""
        sight = self._nodes.get(gone.name)
        if sight is None or sight.uid != gone.uid:
            return ()
        del self._nodes[gone.name]
        return tuple(self._used)

    def see_job(self, raw: Mapping[str, Any], version: int) -> tuple[Key, ...]:
        """Take in a Job that fills a cache."""
        key = warm_up_key(raw)
        family = self._families.setdefault(key, _Family())
        family.access_modes = access_modes_of(raw)
        annotations = mapping(raw, "metadata", "annotations")
        family.cache = text(annotations.get(names.CACHE_ANNOTATION))
        return self._took(key, family.jobs, Job.from_api(raw), version)

    def see_pod(self, raw: Mapping[str, Any], version: int) -> tuple[Key, ...]:
        """Take in a pod of such a Job."""
        key, pod = warm_up_key(raw), Pod.from_api(raw)
        family = self._families.setdefault(key, _Family())
        before = family.pods.get(pod.uid)
        news = self._took(key, family.pods, pod, version)
        if before and not before.value.termination and pod.termination:
            told = WarmUp(Job(key.namespace, key.name, "", ""), (pod,))
            self.told(told.document)
        return news

    def forget(self, raw: Mapping[str, Any]) -> tuple[Key, ...]:
        """Take in that such a Job or pod is gone."""
        return self.forget_object(warm_up_key(raw), text(mapping(raw, "metadata").get("uid")))

    def forget_object(self, key: WarmUpKey, uid: str) -> tuple[Key, ...]:
        """Let go of an object that is not there any more."""
        family = self._families.get(key)
        if family is None:
            return ()
        gone = family.jobs.pop(uid, None) or family.pods.pop(uid, None)
        if not family.jobs and not family.pods:
            del self._families[key]
        return tuple(self._users.get(key, ())) if gone else ()

    def seen_for(self, key: Key, plan: KernelPlan, *, over: bool) -> KernelsSeen:
        """Give what a training needs to know, and remember what it depends on until it is over."""
        wanted = self.uses(key, plan, over=over)
        if not plan.cached:
            return KernelsSeen()
        found = {one.name: self._warm_up(one) for one in wanted}
        return KernelsSeen(
            nodes=self.nodes,
            warm_ups={name: one for name, one in found.items() if one},
            keys_in_use=self._keys_in_use(key.namespace),
        )

    def uses(self, key: Key, plan: KernelPlan, *, over: bool) -> tuple[WarmUpKey, ...]:
        """Remember on what a training depends, until it is over; gives the warm-ups planned."""
        wanted = tuple(WarmUpKey(key.namespace, one.name) for one in plan.warm_ups)
        if over or not plan.cached:
            self.drop(key)
        elif self._used.get(key) != wanted:
            self.drop(key)
            self._used[key] = wanted
            for one in wanted:
                self._users.setdefault(one, set()).add(key)
        return wanted

    def drop(self, key: Key) -> None:
        """Forget on what a training depended."""
        for one in self._used.pop(key, ()):
            users = self._users.get(one, set())
            users.discard(key)
            if not users:
                self._users.pop(one, None)

    def unseen_since(self, plural: str, moment: float) -> list[WarmUpObject]:
        """Give the objects that neither watch nor list has brought since a monotonic time.

        Raises ValueError for all but Jobs and pods; of nodes `nodes_unseen_since` tells.
        """
        if plural not in ("jobs", "pods"):
            raise ValueError(f"no {plural} are kept here")
        return [
            WarmUpObject(key, sight.value.name, uid)
            for key, family in self._families.items()
            for uid, sight in (family.jobs if plural == "jobs" else family.pods).items()
            if sight.at < moment
        ]

    def cache_bytes(self) -> Iterator[tuple[str, str, int]]:
        """Give namespace, cache and size of each cache, as its newest Job told."""
        newest: dict[tuple[str, str], tuple[str, int]] = {}
        for key, family in self._families.items():
            warm_up = family.warm_up()
            document = warm_up.document if warm_up else None
            if warm_up is None or document is None or document.cache_bytes is None:
                continue
            told = (str(warm_up.job.finished_at), document.cache_bytes)
            place = (key.namespace, family.cache)
            newest[place] = max(newest.get(place, told), told)
        for (namespace, cache), (_, size) in newest.items():
            yield namespace, cache, size

    def _took(
        self, key: WarmUpKey, known: dict[str, _Sight], value: Job | Pod, version: int
    ) -> tuple[Key, ...]:
        before, now = known.get(value.uid), time.monotonic()
        if before and before.version >= version:
            before.at = now
            return ()
        known[value.uid] = _Sight(version, value, now)
        if before and before.value == value:
            return ()
        return tuple(self._users.get(key, ()))

    def _warm_up(self, key: WarmUpKey) -> WarmUp | None:
        family = self._families.get(key)
        found = family.warm_up() if family else None
        if family and found and self._collected(key.namespace, family.cache, found):
            return replace(found, collected=True)
        return found

    def _collected(self, namespace: str, cache: str, done: WarmUp) -> bool:
        """Whether a Job that ended later, of the same cache, has deleted what one compiled."""
        compiled, at = done.document, done.job.finished_at
        if compiled is None or compiled.key is None or at is None:
            return False
        for key, family in self._families.items():
            if key.namespace != namespace or family.cache != cache:
                continue
            other = family.warm_up()
            told = other.document if other else None
            later = other and other.job.finished_at and other.job.finished_at > at
            if later and told and compiled.key in told.removed:
                return True
        return False

    def _keys_in_use(self, namespace: str) -> tuple[str, ...]:
        """Give the keys that trainings which are not over find in caches of the namespace."""
        found = set()
        for key in self._users:
            warm_up = self._warm_up(key) if key.namespace == namespace else None
            document = warm_up.document if warm_up else None
            if document and document.key:
                found.add(document.key)
        return tuple(sorted(found))


def warm_up_key(raw: Mapping[str, Any]) -> WarmUpKey:
    """Give the warm-up that a Job or pod belongs to; with an empty name where it is none."""
    metadata = mapping(raw, "metadata")
    labels = mapping(metadata, "labels")
    return WarmUpKey(text(metadata.get("namespace")), text(labels.get(names.KERNELS_LABEL)))
