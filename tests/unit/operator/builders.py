"""Objects as the API server gives them, for tests."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from splat_operator.decide import decide, job_name
from splat_operator.world import (
    Installation,
    Job,
    KernelCacheSettings,
    Pod,
    Training,
    Trouble,
    World,
)

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
UID = "5f1c9a2e-0000-4000-8000-000000000001"
JOB_UID = "aaaaaaaa-0000-4000-8000-000000000001"

S3 = {
    "uri": "s3://captures/garden",
    "endpoint": "http://s3.storage.svc:7070",
    "region": "us-east-1",
    "credentialsSecretRef": {"name": "s3-credentials"},
}
CLAIMS: dict[str, Any] = {
    "source": {"persistentVolumeClaim": {"claimName": "captures", "path": "garden"}},
    "output": {"persistentVolumeClaim": {"claimName": "splats"}},
}

RESULT: dict[str, Any] = {
    "outcome": "Succeeded",
    "exitCode": 0,
    "reason": "Trained",
    "message": "300 iterations",
    "iterations": 300,
    "gaussians": 12345,
    "psnr": 27.4567,
    "ssim": 0.9123,
    "trainSeconds": 30.0,
    "totalSeconds": 33.3,
    "outputs": [
        {"format": "metrics", "uri": "s3://splats/garden/metrics.json", "bytes": 10},
        {"format": "ply", "uri": "s3://splats/garden/point_cloud.ply", "bytes": 99},
    ],
}


def installation(**changes: Any) -> Installation:
    return Installation(
        trainer_image=changes.get("trainer_image", "splat-trainer:1"),
        progress_url=changes.get("progress_url", "https://splat-operator.splat-system.svc:8443"),
        progress_ca=changes.get("progress_ca", "-----BEGIN CERTIFICATE-----"),
        api_audiences=changes.get("api_audiences", ()),
        kernel_cache=changes.get("kernel_cache", KernelCacheSettings()),
    )


def at(seconds: float) -> str:
    return (NOW + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def raw_training(**changes: Any) -> dict[str, Any]:
    """A SplatTraining; keywords are fields of its spec, `status` its status."""
    status = changes.pop("status", {})
    generation = changes.pop("generation", 1)
    return {
        "apiVersion": "splatting.dev/v1alpha1",
        "kind": "SplatTraining",
        "metadata": {
            "namespace": "gardens",
            "name": "garden",
            "uid": UID,
            "generation": generation,
            "creationTimestamp": at(0),
        },
        "spec": {**CLAIMS, **changes},
        "status": status,
    }


def training(**changes: Any) -> Training:
    return Training.from_api(raw_training(**changes))


def raw_job(training: Training, **status: Any) -> dict[str, Any]:
    spec, metadata = status.pop("spec", {}), status.pop("metadata", {})
    return {
        "metadata": {
            **metadata,
            "namespace": training.namespace,
            "name": job_name(training),
            "uid": JOB_UID,
            "creationTimestamp": at(1),
            "ownerReferences": [{"uid": training.uid, "controller": True}],
        },
        "spec": {"suspend": False, "backoffLimit": 3, **spec},
        "status": {"startTime": at(1), **status},
    }


def job(training: Training, **status: Any) -> Job:
    return Job.from_api(raw_job(training, **status))


def finished(kind: str, reason: str = "", message: str = "", seconds: float = 60) -> dict[str, Any]:
    """The status of a Job that has come to its end."""
    return {
        "conditions": [
            {
                "type": kind,
                "status": "True",
                "reason": reason,
                "message": message,
                "lastTransitionTime": at(seconds),
            }
        ]
    }


def raw_pod(name: str = "garden-x", seconds: float = 2, **status: Any) -> dict[str, Any]:
    """A pod; keywords are fields of its status, `node` where it is."""
    node = status.pop("node", "node-1")
    return {
        "metadata": {
            "namespace": "gardens",
            "name": name,
            "uid": f"uid-{name}",
            "creationTimestamp": at(seconds),
            "ownerReferences": [{"uid": JOB_UID, "controller": True}],
        },
        "spec": {"nodeName": node} if node else {},
        "status": {"phase": "Pending", **status},
    }


def pod(name: str = "garden-x", seconds: float = 2, **status: Any) -> Pod:
    return Pod.from_api(raw_pod(name, seconds, **status))


def waiting(reason: str, message: str = "") -> dict[str, Any]:
    return container({"waiting": {"reason": reason, "message": message}})


def running() -> dict[str, Any]:
    return {"phase": "Running", **container({"running": {"startedAt": at(5)}})}


def terminated(exit_code: int, message: str = "", reason: str = "Error") -> dict[str, Any]:
    state = {
        "exitCode": exit_code,
        "reason": reason,
        "message": message,
        "startedAt": at(5),
        "finishedAt": at(59),
    }
    phase = "Succeeded" if exit_code == 0 else "Failed"
    return {"phase": phase, **container({"terminated": state})}


def container(state: dict[str, Any]) -> dict[str, Any]:
    return {"containerStatuses": [{"name": "trainer", "state": state}]}


def world(
    training: Training,
    job: Job | None = None,
    *pods: Pod,
    trouble: Trouble | None = None,
) -> World:
    return World(installation(), training, job, pods, trouble)


def status_of(
    training: Training,
    job: Job | None = None,
    *pods: Pod,
    seconds: float = 100,
    trouble: Trouble | None = None,
) -> dict[str, Any]:
    """The status that is decided, which must differ from the one that is written."""
    decided = decide(world(training, job, *pods, trouble=trouble), NOW + timedelta(seconds=seconds))
    assert decided.status is not None
    return dict(decided.status)


def condition(status: dict[str, Any], kind: str) -> dict[str, Any]:
    return next(item for item in status["conditions"] if item["type"] == kind)


def verdicts(status: dict[str, Any]) -> dict[str, str]:
    return {item["type"]: item["status"] for item in status["conditions"]}


def failed(reason: str, message: str, exit_code: int) -> dict[str, Any]:
    document = {
        "outcome": "Failed",
        "exitCode": exit_code,
        "reason": reason,
        "message": message,
    }
    return terminated(exit_code, json.dumps(document))
