"""A cluster in a few lines: an API server's memory, the Job controller, a scheduler, a kubelet.

Only as true as the property test of `decide` needs; the real ones are in tests/e2e.
"""

import copy
import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from splat_operator.decide import (
    Action,
    CreateJob,
    CreateWarmUp,
    Decision,
    RedoWarmUp,
    UpdateJob,
    decide,
)
from splat_operator.decide.checkpoint import checkpoint_reported
from splat_operator.decide.failure_rules import HOPELESS_EXIT_CODES
from splat_operator.world import (
    Job,
    KernelCacheSettings,
    KernelsSeen,
    Pod,
    Training,
    WarmUp,
    World,
    parse_progress,
)

from .builders import NOW, installation, raw_training

Raw = dict[str, Any]

KERNELS = KernelCacheSettings(claim_name="kernels", architectures=("9.0",))

FAILURES = {65: "InvalidCapture", 70: "InternalError", 74: "StorageUnavailable"}


@dataclass
class Cluster:
    """What is true."""

    training: Raw
    script: list[int]
    """Exit code of each pod that comes to its end by itself, in turn; after them 0."""
    job: Raw | None = None
    pods: list[Raw] = field(default_factory=list)
    now: datetime = NOW
    warm_up: Raw | None = None
    damaged: bool = False
    """Whether trainers refuse the kernels that are in the cache."""
    warm_ups_made: int = 0
    warm_ups_gone: int = 0
    in_vain: int = 0
    """Pods that ended and had refused what was in the cache."""
    jobs_made: int = 0
    pods_made: int = 0
    pods_done: int = 0
    saved: int = 0
    """The newest checkpoint that is kept, by its step; 0 where there is none."""

    def tick(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    def stamp(self) -> str:
        return self.now.strftime("%Y-%m-%dT%H:%M:%SZ")

    def apply_job(self, manifest: Raw) -> None:
        """Server-side apply: what is there already stays, a finished training makes none."""
        succeeded = [
            one["status"]
            for one in self.training["status"].get("conditions", [])
            if one["type"] == "Succeeded"
        ]
        assert succeeded in ([], ["Unknown"]), "a training that has ended was started again"
        if self.job is not None:
            assert self.job["metadata"]["name"] == manifest["metadata"]["name"]
            return
        self.jobs_made += 1
        self.job = copy.deepcopy(manifest)
        self.job["metadata"]["uid"] = f"job-{self.jobs_made}"
        self.job["metadata"]["creationTimestamp"] = self.stamp()
        self.job["status"] = {}

    def create_warm_up(self, manifest: Raw) -> None:
        """The API server is the lock: a name that is taken stays as it is."""
        if self.warm_up is not None:
            assert self.warm_up["metadata"]["name"] == manifest["metadata"]["name"]
            return
        self.warm_ups_made += 1
        self.warm_up = copy.deepcopy(manifest)
        self.warm_up["metadata"]["uid"] = f"warm-up-{self.warm_ups_made}"
        self.warm_up["status"] = {"startTime": self.stamp()}

    def delete_warm_up(self, uid: str) -> None:
        if self.warm_up is not None and self.warm_up["metadata"]["uid"] == uid:
            self.warm_up = None

    def warm_up_done(self) -> None:
        self._end_warm_up("Complete")

    def warm_up_failed(self) -> None:
        self._end_warm_up("Failed")

    def warm_up_gone(self) -> None:
        """Its time to live is over, or somebody deletes it."""
        if self.warm_up is not None:
            self.warm_up = None
            self.warm_ups_gone += 1

    def expire_warm_up(self) -> None:
        """What the TTL controller does with one that failed, much later."""
        status = self.warm_up["status"] if self.warm_up else {}
        if any(one["type"] == "Failed" for one in status.get("conditions", [])):
            self.warm_up_gone()

    def damage(self) -> None:
        self.damaged = True

    def _end_warm_up(self, kind: str) -> None:
        # A compiler takes longer than the second in which all times are told.
        if self.warm_up and "conditions" not in self.warm_up["status"]:
            self.tick(2)
            self.damaged = self.damaged and kind == "Failed"
            self.warm_up["status"]["conditions"] = [
                {"type": kind, "status": "True", "lastTransitionTime": self.stamp()}
            ]

    def update_job(self, uid: str, spec: Raw, annotations: Raw) -> None:
        if self.warm_up is not None and self.warm_up["metadata"]["uid"] == uid:
            self.warm_up["spec"].update(spec)
        if self.job is not None and self.job["metadata"]["uid"] == uid:
            self.job["spec"].update(spec)
            self.job["metadata"]["annotations"].update(annotations)

    def delete_job(self, uid: str) -> None:
        if self.job is not None and self.job["metadata"]["uid"] == uid:
            self.job, self.pods = None, []

    def live_pods(self) -> list[Raw]:
        return [pod for pod in self.pods if pod["status"]["phase"] in ("Pending", "Running")]

    def job_controller(self) -> None:
        """One sync of the Job controller."""
        if self.job is None or self._finished():
            return
        spec, status = self.job["spec"], self.job["status"]
        if any(pod["status"]["phase"] == "Succeeded" for pod in self.pods):
            self._finish("Complete", "")  # though it be suspended
            return
        if spec["suspend"]:
            self.pods = [pod for pod in self.pods if pod not in self.live_pods()]
            status.pop("startTime", None)
            return
        status.setdefault("startTime", self.stamp())
        failed = [pod for pod in self.pods if pod["status"]["phase"] == "Failed"]
        codes = [exit_code(pod) for pod in failed]
        if any(code in HOPELESS_EXIT_CODES for code in codes):
            self._finish("Failed", "PodFailurePolicy")
        elif len([pod for pod in failed if not disrupted(pod)]) > spec["backoffLimit"]:
            self._finish("Failed", "BackoffLimitExceeded")
        elif not self.live_pods():
            self._make_pod()

    def pod_step(self) -> None:
        """The live pod comes one step further: scheduled, pulled, started, ended."""
        for pod in self.live_pods():
            status = pod["status"]
            if "nodeName" not in pod["spec"]:
                pod["spec"]["nodeName"] = "node-1"
                status["containerStatuses"] = [_trainer({"waiting": {"reason": "ErrImagePull"}})]
            elif status["phase"] == "Pending":
                status["phase"] = "Running"
                status["containerStatuses"] = [_trainer({"running": {"startedAt": self.stamp()}})]
            else:
                code = self.script[self.pods_done] if self.pods_done < len(self.script) else 0
                self.pods_done += 1
                self._end(pod, code)

    @property
    def trains(self) -> bool:
        return any(pod["status"]["phase"] == "Running" for pod in self.pods)

    def save(self) -> None:
        """The trainer that runs, if one does, saves a checkpoint."""
        self.saved += 10 * self.trains

    def evict(self) -> None:
        for pod in self.live_pods():
            self.saved += self.trains
            pod["status"]["conditions"] = [
                {"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI"}
            ]
            self._end(pod, 75)

    def _end(self, pod: Raw, code: int) -> None:
        reason = "Trained" if code == 0 else FAILURES.get(code, "Interrupted")
        outcome = {0: "Succeeded", 75: "Interrupted"}.get(code, "Failed")
        document = {"outcome": outcome, "exitCode": code, "reason": reason, "message": "so"}
        if code in (0, 75):
            source = "Compiled" if self.damaged else "Cache"
            self.in_vain += self.damaged
            document |= {"kernels": {"source": source, "key": "k", "seconds": 0.1}}
        if code != 0 and self.saved:
            document |= {"checkpoint": self.checkpoint()}
        if code == 0:
            document |= {"iterations": 100, "gaussians": 7, "psnr": 30.0}
        pod["status"]["phase"] = "Failed" if code else "Succeeded"
        pod["status"]["containerStatuses"] = [
            _trainer(
                {
                    "terminated": {
                        "exitCode": code,
                        "message": json.dumps(document),
                        "startedAt": self.stamp(),
                        "finishedAt": self.stamp(),
                    }
                }
            )
        ]

    def checkpoint(self) -> Raw:
        return {"iteration": self.saved, "uri": f"/output/checkpoint_{self.saved}"}

    def _make_pod(self) -> None:
        assert self.job is not None
        self.pods_made += 1
        self.pods.append(
            {
                "metadata": {
                    "namespace": "gardens",
                    "name": f"pod-{self.pods_made:03}",
                    "uid": f"pod-{self.pods_made}",
                    "creationTimestamp": self.stamp(),
                    "ownerReferences": [{"uid": self.job["metadata"]["uid"], "controller": True}],
                },
                "spec": {},
                "status": {"phase": "Pending"},
            }
        )

    def _finish(self, kind: str, reason: str) -> None:
        assert self.job is not None
        self.job["status"]["conditions"] = [
            {
                "type": kind,
                "status": "True",
                "reason": reason,
                "lastTransitionTime": self.stamp(),
            }
        ]

    def _finished(self) -> bool:
        return bool(self.job and self.job["status"].get("conditions"))


@dataclass
class Operator:
    """An operator whose sight of the cluster may be old; its own writes it sees at once."""

    cluster: Cluster
    training: Raw = field(default_factory=dict)
    job: Raw | None = None
    pods: list[Raw] = field(default_factory=list)
    kernels: KernelCacheSettings = field(default_factory=KernelCacheSettings)
    warm_up: Raw | None = None

    def __post_init__(self) -> None:
        self.see_all()

    def see_training(self) -> None:
        self.training = copy.deepcopy(self.cluster.training)

    def see_job(self) -> None:
        self.job = copy.deepcopy(self.cluster.job)

    def see_pods(self) -> None:
        self.pods = copy.deepcopy(self.cluster.pods)

    def see_warm_up(self) -> None:
        self.warm_up = copy.deepcopy(self.cluster.warm_up)

    def see_all(self) -> None:
        self.see_training()
        self.see_warm_up()
        self.see_job()
        self.see_pods()

    def take_report(self) -> None:
        """A trainer that runs, and has saved, reports."""
        self.see_training()
        seen = Training.from_api(self.training)
        if not self.cluster.trains or not self.cluster.saved or seen.finished:
            return
        told = {"stage": "Training", "checkpoint": self.cluster.checkpoint()}
        report = checkpoint_reported(seen, parse_progress(json.dumps(told)))
        self.cluster.training["status"]["checkpoint"] = dict(report)
        self.see_training()

    def decision(self) -> Decision:
        uid = self.job["metadata"]["uid"] if self.job else ""
        pods = tuple(pod for pod in map(Pod.from_api, self.pods) if pod.job_uid == uid and self.job)
        world = World(
            installation(kernel_cache=self.kernels),
            Training.from_api(self.training),
            Job.from_api(self.job) if self.job else None,
            pods,
            kernels=self._kernels_seen(),
        )
        return decide(world, self.cluster.now)

    def _kernels_seen(self) -> KernelsSeen:
        if self.warm_up is None:
            return KernelsSeen()
        job = Job.from_api(self.warm_up)
        return KernelsSeen(warm_ups={job.name: WarmUp(job)})

    def reconcile(self, crash_after: int = 99) -> Decision:
        """Decide and carry out; a crash leaves off after so many steps."""
        decision = self.decision()
        for action in decision.actions[:crash_after]:
            self._act(action)
        if decision.status is not None and crash_after > len(decision.actions):
            self.cluster.training["status"] = {
                **{
                    name: value
                    for name, value in self.cluster.training["status"].items()
                    if name == "progress"
                },
                **copy.deepcopy(dict(decision.status)),
            }
            self.see_training()
        return decision

    def _act(self, action: Action) -> None:
        if isinstance(action, CreateJob):
            self.cluster.apply_job(action.manifest)
        elif isinstance(action, CreateWarmUp):
            self.cluster.create_warm_up(action.manifest)
        elif isinstance(action, RedoWarmUp):
            self.cluster.delete_warm_up(action.uid)
            self.cluster.create_warm_up(action.create.manifest)
        elif isinstance(action, UpdateJob):
            self.cluster.update_job(action.uid, dict(action.spec), dict(action.annotations))
        else:
            self.cluster.delete_job(action.uid)
        self.see_job()
        self.see_warm_up()


def new_cluster(script: list[int], **spec: Any) -> Cluster:
    return Cluster(raw_training(**spec), script)


def exit_code(pod: Raw) -> int | None:
    return Pod.from_api(pod).termination.exit_code if Pod.from_api(pod).termination else None  # type: ignore[union-attr]


def disrupted(pod: Raw) -> bool:
    return bool(Pod.from_api(pod).disruption)


def _trainer(state: Raw) -> Raw:
    return {"name": "trainer", "state": state}
