"""Pods, Jobs and claims for the cluster's own tests, as the API takes them."""

from __future__ import annotations

from typing import Any

from tests.cluster.busybox import IMAGE


def pod_spec(script: str, **fields: Any) -> dict[str, Any]:
    """A spec of one busybox container that runs a shell script.

    `gpus` asks for that many; `claim` mounts a claim at /data; the rest goes into the spec.
    """
    gpus, claim = fields.pop("gpus", 0), fields.pop("claim", None)
    container: dict[str, Any] = {
        "name": "main",
        "image": IMAGE,
        "imagePullPolicy": "Never",
        "command": ["sh", "-c", script],
    }
    spec: dict[str, Any] = {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 1,
        "containers": [container],
        **fields,
    }
    if gpus:
        container["resources"] = {"limits": {"nvidia.com/gpu": str(gpus)}}
    if claim:
        container["volumeMounts"] = [{"name": "data", "mountPath": "/data"}]
        spec["volumes"] = [{"name": "data", "persistentVolumeClaim": {"claimName": claim}}]
    return spec


def pod(name: str, script: str, **fields: Any) -> dict[str, Any]:
    """A pod of `pod_spec`; its label `app` is its name."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": pod_spec(script, **fields),
    }


def job(name: str, script: str, **fields: Any) -> dict[str, Any]:
    """A Job of `pod_spec`; `fields` go into the Job's spec."""
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name},
        "spec": {"template": {"spec": pod_spec(script)}, **fields},
    }


def claim(name: str, mode: str) -> dict[str, Any]:
    """A claim of 1 GiB from the default StorageClass."""
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name},
        "spec": {"accessModes": [mode], "resources": {"requests": {"storage": "1Gi"}}},
    }


def config_map(name: str, **metadata: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, **metadata},
        "data": {"key": "value"},
    }
