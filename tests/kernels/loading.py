"""A training on the CPU whose pod first loads the cache's CUDA kernels, as one on a GPU does."""

from __future__ import annotations

import json
from typing import Any

from tests.e2e.trainings import Namespace, Raw, training

CACHE = "kernels"
ARCHITECTURE = "9.0"

_PROGRAM = """
import json, pathlib
import torch
from splat_trainer.kernels.ensure import ensure_kernels
try:
    pathlib.Path("/kernels/mine").touch()
    written = "written"
except OSError as error:
    written = error.strerror
use = ensure_kernels()
from splat_trainer.kernels.extension import OPERATORS
from gsplat.cuda._backend import _C
told = use.model_dump(mode="json") | {
    "written": written, "file": _C.__file__, "functions": hasattr(_C, "relocation"),
    "ours": all(hasattr(torch.ops.splat, name) for name in OPERATORS),
}
pathlib.Path("/dev/termination-log").write_text(json.dumps(told))
"""
"""Loads the kernels where it may not compile them, and tries to write beside them."""

_RESTRICTED = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}


def loading(namespace: Namespace, name: str) -> Raw:
    """Give the SplatTraining."""
    loader = {
        "name": "load",
        "image": namespace.trainer_image,
        "command": ["python", "-c", _PROGRAM],
        "env": [
            {"name": "SPLAT_KERNELS_DIR", "value": "/kernels"},
            {"name": "SPLAT_KERNELS_ON_MISS", "value": "fail"},
        ],
        "securityContext": _RESTRICTED,
        "volumeMounts": [
            {"name": "kernels", "mountPath": "/kernels", "readOnly": True},
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - the pod's own volume
        ],
    }
    return training(
        name,
        kernelCache={"claimName": CACHE, "architectures": [ARCHITECTURE]},
        resources={"gpus": 0, "cpu": "250m", "memory": "1Gi"},
        podTemplateOverrides={"spec": {"initContainers": [loader]}},
    )


def loaded(pod: Raw) -> dict[str, Any]:
    """Give what a pod told of the kernels it has loaded; nothing before it has."""
    for status in pod.get("status", {}).get("initContainerStatuses", []):
        ended = status["state"].get("terminated", {})
        if status["name"] == "load" and ended.get("exitCode") == 0:
            told: dict[str, Any] = json.loads(ended["message"])
            return told
    return {}
