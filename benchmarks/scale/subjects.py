"""The two that are compared: what is applied to each, and what each makes of it."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.scale.programs import GO, KUBERAY, built
from splat_operator.api import names
from tests.cluster.go_module import module_folder

Raw = Mapping[str, Any]

_HTTP, _PROGRESS = 18080, 18443
_PLACED: dict[str, Any] = {
    "nodeSelector": {"type": "kwok"},
    "tolerations": [{"key": "kwok", "operator": "Exists", "effect": "NoSchedule"}],
}


@dataclass(frozen=True)
class Subject:
    """An operator, and the resource that it serves."""

    name: str
    group_version: str
    plural: str
    child: str
    """Path of what it makes first, after the namespace's part."""
    child_group_version: str
    label: str
    """The label by which a child or a pod names its resource."""
    metrics: str
    ready: str
    requests: str
    """The metric that counts requests to the API server."""

    def command(self, kubeconfig: str, namespace: str) -> tuple[list[str], dict[str, str]]:
        """Give how it is started, and with what environment."""
        if self.name == "kuberay":
            arguments = [
                f"--kubeconfig={kubeconfig}",
                f"--leader-election-namespace={namespace}",
                "--metrics-addr=:18081",
                "--health-probe-bind-address=:18082",
            ]
            return [str(built("kuberay")), *arguments], {}
        # As in its image, which has no official client: kopf imports that wherever it finds it.
        main = (
            "import sys; sys.modules['kubernetes'] = None; "
            "from splat_operator.runtime.main import main; main()"
        )
        return [sys.executable, "-c", main], {
            "SPLAT_OPERATOR_TRAINER_IMAGE": "simulated",
            "SPLAT_OPERATOR_NAMESPACE": namespace,
            "SPLAT_OPERATOR_HTTP_PORT": str(_HTTP),
            "SPLAT_OPERATOR_PROGRESS_PORT": str(_PROGRESS),
            "SPLAT_OPERATOR_PROGRESS_URL": f"https://127.0.0.1:{_PROGRESS}",
        }

    def definitions(self) -> Path | None:
        """Give the folder of files that define its resources; none for our own."""
        if self.name != "kuberay":
            return None
        return module_folder(GO / "kuberay", KUBERAY) / "config" / "crd" / "bases"

    def body(self, name: str, suspended: bool) -> dict[str, Any]:
        """Give the resource: one pod without any request, on a simulated node."""
        spec = _ray(suspended) if self.name == "kuberay" else _training(suspended)
        kind = "RayCluster" if self.name == "kuberay" else names.KIND
        metadata = {"name": name}
        return {"apiVersion": self.group_version, "kind": kind, "metadata": metadata, "spec": spec}

    def runs(self, raw: Raw) -> bool:
        """Whether the resource's status says that its pod runs."""
        status = raw.get("status") or {}
        return bool(status.get("phase") == "Running" or status.get("state") == "ready")


SPLAT = Subject(
    name="splat-operator",
    group_version=names.API_VERSION,
    plural=names.PLURAL,
    child="jobs",
    child_group_version="batch/v1",
    label=names.TRAINING_LABEL,
    metrics=f"http://127.0.0.1:{_HTTP}/metrics",
    ready=f"http://127.0.0.1:{_HTTP}/readyz",
    requests="splat_operator_api_requests_total",
)
RAY = Subject(
    name="kuberay",
    group_version="ray.io/v1",
    plural="rayclusters",
    child="pods",
    child_group_version="v1",
    label="ray.io/cluster",
    metrics="http://127.0.0.1:18081/metrics",
    ready="http://127.0.0.1:18082/readyz",
    requests="rest_client_requests_total",
)
PROGRESS_URL = f"https://127.0.0.1:{_PROGRESS}"


def _training(suspended: bool) -> dict[str, Any]:
    claim = {"persistentVolumeClaim": {"claimName": "none"}}
    # kwok binds no volumes: an object store needs none.
    source: dict[str, Any] = claim if suspended else {"s3": {"uri": "s3://none/none"}}
    return {
        "source": source,
        "output": source,
        "resources": {"gpus": 0},
        "suspend": suspended,
        "maxRetries": 0,
        **_PLACED,
    }


def _ray(suspended: bool) -> dict[str, Any]:
    container = {"name": "ray-head", "image": "simulated"}
    template = {"spec": {"containers": [container], **_PLACED}}
    head = {"rayStartParams": {}, "template": template}
    return {"rayVersion": "2.52.0", "suspend": suspended, "headGroupSpec": head}
