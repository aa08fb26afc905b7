"""gsplat's kernels on the GPU machine: compiled once, then kept in the kernel cache volume."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from deploy.demo import manifests
from deploy.demo.kube import Kube
from deploy.demo.stages import DemoError

CLAIM = "splat-kernels"
LIBRARY = "gsplat_cuda.so"
_FOLDER_IN_IMAGE = "/opt/splat/kernels"


def compile_kernels(folder: Path) -> Path:
    """Compile the kernels with this machine's nvcc, unless `folder` holds them already."""
    library = folder / LIBRARY
    if not library.exists():
        environment = {**os.environ, "TORCH_EXTENSIONS_DIR": str(folder.parent)}
        # gsplat compiles when its backend is imported; its folder is always gsplat_cuda.
        command = [sys.executable, "-c", "import gsplat.cuda._backend"]
        finished = subprocess.run(
            command, env=environment, check=False, capture_output=True, text=True
        )
        if not library.exists():
            raise DemoError(f"gsplat's kernels did not compile:\n{finished.stderr[-2000:]}")
    return library


def fill_cache(kube: Kube, image: str) -> None:
    """Make the cache's claim in the trainings' namespace and put the image's kernels there."""
    kube.apply(_claim(), _filling_job(image))
    kube.run(
        *("-n", manifests.NAMESPACE, "wait", "--for=condition=Complete"),
        *("job/fill-kernel-cache", "--timeout=180s"),
    )


def _claim() -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": CLAIM, "namespace": manifests.NAMESPACE},
        "spec": {
            "accessModes": ["ReadWriteMany"],
            "resources": {"requests": {"storage": "1Gi"}},
        },
    }


def _filling_job(image: str) -> dict[str, Any]:
    copy = f"import shutil; shutil.copy('{_FOLDER_IN_IMAGE}/{LIBRARY}', '/kernels/')"
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "fill-kernel-cache", "namespace": manifests.NAMESPACE},
        "spec": {
            "backoffLimit": 0,
            "template": {
                "spec": {
                    "restartPolicy": "Never",
                    "automountServiceAccountToken": False,
                    "securityContext": {
                        "runAsNonRoot": True,
                        "runAsUser": 10001,
                        "fsGroup": 10001,
                        "seccompProfile": {"type": "RuntimeDefault"},
                    },
                    "containers": [
                        {
                            "name": "copy",
                            "image": image,
                            "command": ["python3", "-c", copy],
                            "securityContext": {
                                "allowPrivilegeEscalation": False,
                                "capabilities": {"drop": ["ALL"]},
                                "readOnlyRootFilesystem": True,
                            },
                            "volumeMounts": [{"name": "kernels", "mountPath": "/kernels"}],
                        }
                    ],
                    "volumes": [{"name": "kernels", "persistentVolumeClaim": {"claimName": CLAIM}}],
                }
            },
        },
    }
