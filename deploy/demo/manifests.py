"""What the demo applies besides the chart: its namespace, credentials and SplatTraining."""

from dataclasses import dataclass
from typing import Any

from deploy.demo.object_store import Credentials

Manifest = dict[str, Any]

NAMESPACE = "splats"
OPERATOR_NAMESPACE = "splat-system"
TRAINING = "demo"
S3_SECRET = "s3-credentials"  # noqa: S105 - a name
S3_SERVICE = "s3"
S3_PORT = 7070
BUCKET = "splats"
DEMO_LABEL = {"app.kubernetes.io/part-of": "splat-demo"}
"""On the demo's namespaces: what it may remove again."""


@dataclass(frozen=True)
class TrainingRequest:
    """What the user of the demo may choose, and what the machine needs."""

    iterations: int | None
    max_side: int | None
    max_gaussians: int | None
    gpus: int
    cpu: str
    memory: str


def namespace(name: str) -> Manifest:
    """A namespace that admits restricted pods only (Pod Security Standards)."""
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {
            "name": name,
            "labels": {
                **DEMO_LABEL,
                "pod-security.kubernetes.io/enforce": "restricted",
                "pod-security.kubernetes.io/warn": "restricted",
            },
        },
    }


def credentials_secret(credentials: Credentials) -> Manifest:
    """The Secret that both the S3 server and the trainer read."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": S3_SECRET, "namespace": NAMESPACE},
        "stringData": {
            "AWS_ACCESS_KEY_ID": credentials.access_key_id,
            "AWS_SECRET_ACCESS_KEY": credentials.secret_access_key,
        },
    }


def splat_training(
    request: TrainingRequest, name: str = TRAINING, output: str = "output", **spec: Any
) -> Manifest:
    """The SplatTraining that the demo follows; keywords are further fields of its spec."""
    training: dict[str, Any] = {}
    if request.iterations is not None:
        training["iterations"] = request.iterations
    if request.max_side is not None:
        training["maxSide"] = request.max_side
    if request.max_gaussians is not None:
        training["maxGaussians"] = request.max_gaussians
    return {
        "apiVersion": "splatting.dev/v1alpha1",
        "kind": "SplatTraining",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "source": _s3("capture"),
            "training": training,
            "output": _s3(output),
            "resources": {"gpus": request.gpus, "cpu": request.cpu, "memory": request.memory},
            **spec,
        },
    }


def _s3(prefix: str) -> Manifest:
    return {
        "s3": {
            "uri": f"s3://{BUCKET}/{prefix}",
            "endpoint": f"http://{S3_SERVICE}.{NAMESPACE}.svc:{S3_PORT}",
            "region": "us-east-1",
            "credentialsSecretRef": {"name": S3_SECRET},
        }
    }
