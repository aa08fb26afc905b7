"""SplatTrainings as tests make them and look at them."""

from __future__ import annotations

import json
import subprocess
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tests.cluster.client import Cluster
from tests.cluster.waiting import wait_for
from tests.e2e.installation import Operator
from tests.e2e.restricted import RESTRICTED

CAPTURES, SPLATS = "captures", "splats"
S3_SECRET = "s3-credentials"  # noqa: S105 - a name
QUICK = {"iterations": 20, "maxGaussians": 5000}
"""A training that ends within seconds on a CPU, and is good for nothing else."""
LONG = {"iterations": 100_000, "maxGaussians": 5000}
"""A training that is still running whenever the test gets to it."""

_RESTRICTED_POD = {
    "runAsNonRoot": True,
    "runAsUser": 10001,
    "runAsGroup": 10001,
    "fsGroup": 10001,
    "seccompProfile": {"type": "RuntimeDefault"},
}
_RESTRICTED_CONTAINER = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}

Raw = dict[str, Any]


@dataclass(frozen=True)
class Namespace:
    """One namespace and what a test does there."""

    cluster: Cluster
    name: str
    trainer_image: str

    def apply(self, *manifests: Raw) -> None:
        self.cluster.apply(*manifests, namespace=self.name)

    def try_apply(self, manifest: Raw) -> subprocess.CompletedProcess[str]:
        return self.cluster.try_kubectl(
            *("apply", "--server-side", f"--namespace={self.name}", "--filename=-"),
            stdin=json.dumps(manifest),
        )

    def patch(self, name: str, **spec: Any) -> subprocess.CompletedProcess[str]:
        return self.cluster.try_kubectl(
            *("patch", "splattraining", name, f"--namespace={self.name}", "--type=merge"),
            f"--patch={json.dumps({'spec': spec})}",
        )

    def training(self, name: str) -> Raw:
        return self.cluster.get("splattraining", name, self.name) or {}

    def status(self, name: str) -> Raw:
        return dict(self.training(name).get("status", {}))

    def jobs(self) -> list[Raw]:
        return self.cluster.list("jobs", self.name, "splatting.dev/training")

    def pods(self) -> list[Raw]:
        return self.cluster.list("pods", self.name, "splatting.dev/training")

    def wait(
        self, name: str, what: str, until: Callable[[Raw], object], timeout: float = 90
    ) -> Raw:
        """Wait until a training's status is as wanted; a failure tells the pods' logs."""
        try:
            return wait_for(f"{name} to be {what}", lambda: self.status(name), timeout, until=until)
        except AssertionError as error:
            selector = f"--selector=splatting.dev/training={name}"
            log = self.cluster.try_kubectl(
                "logs", selector, f"--namespace={self.name}", "--tail=20"
            )
            raise AssertionError(f"{error}\nlog: {log.stdout}{log.stderr}") from error

    def wait_for_phase(self, name: str, phase: str, timeout: float = 90) -> Raw:
        return self.wait(name, phase, lambda status: status.get("phase") == phase, timeout)

    def wait_for_reason(self, name: str, reason: str, timeout: float = 60) -> Raw:
        return self.wait(name, reason, lambda status: reason_of(status) == reason, timeout)

    def wait_for_iteration(self, name: str, iteration: int, timeout: float = 90) -> Raw:
        return self.wait(
            name,
            f"at iteration {iteration}",
            lambda status: status.get("progress", {}).get("iteration", 0) >= iteration,
            timeout,
        )

    def wait_for_checkpoint(self, name: str, iteration: int, timeout: float = 90) -> Raw:
        return self.wait(
            name,
            f"told of a checkpoint of iteration {iteration}",
            lambda status: status.get("checkpoint", {}).get("iteration", 0) >= iteration,
            timeout,
        )

    def make_capture(self, folder: str = "garden") -> None:
        """Make claims, and a small synthetic capture in the first of them."""
        self.apply(claim(CAPTURES), claim(SPLATS))
        self.run_trainer("synth", "--output", f"/volume/{folder}", "--views", "8", "--size", "32")

    def run_trainer(self, *args: str) -> None:
        """Run another command of the trainer, with the captures' volume at /volume."""
        name = f"tool-{args[0]}"
        self.apply(tool(name, {"image": self.trainer_image, "args": list(args)}))
        self._wait_for_tool(name)

    def run_shell(self, name: str, script: str, volume: str = CAPTURES) -> str:
        """Run a shell script with a volume at /volume; gives its output."""
        command = {"image": self.trainer_image, "command": ["sh", "-ec", script]}
        self.apply(tool(name, command, volume))
        self._wait_for_tool(name)
        return self.cluster.kubectl("logs", f"job/{name}", f"--namespace={self.name}")

    def _wait_for_tool(self, name: str) -> None:
        try:
            self.cluster.kubectl(
                *("wait", "--for=condition=Complete", f"job/{name}", "--timeout=90s"),
                f"--namespace={self.name}",
            )
        except Exception as error:
            log = self.cluster.try_kubectl("logs", f"job/{name}", f"--namespace={self.name}")
            raise AssertionError(f"{name}: {error}\n{log.stdout}{log.stderr}") from error


@contextmanager
def own_namespace(operator: Operator) -> Iterator[Namespace]:
    """A namespace that admits nothing but what is restricted, until the block ends."""
    name, cluster = f"test-{uuid.uuid4().hex[:10]}", operator.cluster
    metadata = {"name": name, "labels": RESTRICTED}
    document = {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}
    cluster.kubectl("create", "--filename=-", stdin=json.dumps(document))
    try:
        yield Namespace(cluster, name, operator.images.trainer.reference)
    finally:
        pods = ("pods", "--all", "--grace-period=1", "--wait=false", "--ignore-not-found")
        gone = ("splattrainings", "--all", "--wait=false", f"--namespace={name}")
        cluster.try_kubectl("delete", *gone)
        cluster.try_kubectl("delete", *pods, f"--namespace={name}")
        cluster.kubectl("delete", "namespace", name, "--wait=false")


def training(name: str, **spec: Any) -> Raw:
    """A SplatTraining on the CPU from claim to claim; keywords replace fields of its spec."""
    return {
        "apiVersion": "splatting.dev/v1alpha1",
        "kind": "SplatTraining",
        "metadata": {"name": name},
        "spec": {
            "source": {"persistentVolumeClaim": {"claimName": CAPTURES, "path": "garden"}},
            "output": {"persistentVolumeClaim": {"claimName": SPLATS, "path": name}},
            "training": QUICK,
            "resources": {"gpus": 0},
            **spec,
        },
    }


def s3(uri: str, endpoint: str = "http://s3:7070") -> Raw:
    return {
        "s3": {
            "uri": uri,
            "endpoint": endpoint,
            "region": "us-east-1",
            "credentialsSecretRef": {"name": S3_SECRET},
        }
    }


def claim(name: str) -> Raw:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name},
        "spec": {
            "accessModes": ["ReadWriteMany"],
            "resources": {"requests": {"storage": "1Gi"}},
        },
    }


def tool(name: str, container: Raw, volume: str = CAPTURES) -> Raw:
    """A Job with one volume at /volume."""
    mounts = [
        {"name": "volume", "mountPath": "/volume"},
        {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108
    ]
    pod = {
        "restartPolicy": "Never",
        "securityContext": _RESTRICTED_POD,
        "containers": [
            {
                "name": "tool",
                "securityContext": _RESTRICTED_CONTAINER,
                "volumeMounts": mounts,
                **container,
            }
        ],
        "volumes": [
            {"name": "volume", "persistentVolumeClaim": {"claimName": volume}},
            {"name": "tmp", "emptyDir": {}},
        ],
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name},
        "spec": {"backoffLimit": 0, "template": {"spec": pod}},
    }


def secret(name: str, **values: str) -> Raw:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": values}


def condition(status: Raw, kind: str) -> Raw:
    found = (one for one in status.get("conditions", []) if one["type"] == kind)
    return next(found, {})


def reason_of(status: Raw) -> str:
    return str(condition(status, "Succeeded").get("reason", ""))


def message_of(status: Raw) -> str:
    return str(condition(status, "Succeeded").get("message", ""))
