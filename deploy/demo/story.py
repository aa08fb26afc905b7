"""The demo's story, the same on every machine: install, upload, apply, follow, collect."""

import json
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.demo import manifests
from deploy.demo.follow import explain, follow_to_the_end, succeeded_condition
from deploy.demo.kube import Kube, Object
from deploy.demo.object_store import Credentials, connect, download_folder, upload_folder
from deploy.demo.stages import DemoError, Stages
from deploy.demo.waiting import waiting_for_pods

REPOSITORY = Path(__file__).resolve().parents[2]
CHART = REPOSITORY / "charts" / "splat-operator"
S3_SERVER = REPOSITORY / "deploy" / "examples" / "s3-server.yaml"
SUMMARY = "splattraining.json"
"""The resource as it was in the end; a folder that has it is a demo's, which the next replaces."""


@dataclass(frozen=True)
class Images:
    """References of the three images, all of them already on the cluster's node."""

    operator: str
    trainer: str
    s3_server: str


def tell(
    kube: Kube,
    images: Images,
    capture: Path,
    request: manifests.TrainingRequest,
    output: Path,
    stages: Stages,
    timeout: float,
    chart_values: Mapping[str, Any] | None = None,
) -> None:
    """Install the operator, train `capture`, and leave the outputs in `output`."""
    if output.exists() and any(output.iterdir()) and not (output / SUMMARY).exists():
        raise DemoError(
            f"{output} holds what is no demo's, and the outputs would replace it: name another"
        )
    credentials = prepare(kube, images, capture, stages, chart_values)
    ended = _train(kube, request, stages, timeout)
    with stages.stage(f"Collecting the outputs in {output.name}/"):
        files = _collect(kube, credentials, output)
    _summarise(ended, output, files)


def prepare(
    kube: Kube,
    images: Images,
    capture: Path,
    stages: Stages,
    chart_values: Mapping[str, Any] | None = None,
) -> Credentials:
    """Put the capture into an object store, and install the operator."""
    credentials = _start_object_store(kube, images.s3_server, stages)
    with stages.stage(f"Uploading the capture to s3://{manifests.BUCKET}/capture"):
        _upload(kube, credentials, capture)
    _install_operator(kube, images, chart_values or {}, stages)
    return credentials


def _start_object_store(kube: Kube, image: str, stages: Stages) -> Credentials:
    credentials = Credentials(f"demo-{secrets.token_hex(4)}", secrets.token_urlsafe(24))
    with stages.stage("S3-compatible server"):
        kube.apply(manifests.namespace(manifests.NAMESPACE))
        kube.apply(manifests.credentials_secret(credentials))
        manifest = S3_SERVER.read_text().replace("splat.test/s3-server\n", f"{image}\n")
        kube.run("-n", manifests.NAMESPACE, "apply", "-f", "-", stdin=manifest)
        # The server reads its key once: a demo that runs again has a new one.
        kube.run(
            "-n", manifests.NAMESPACE, "rollout", "restart", f"deployment/{manifests.S3_SERVICE}"
        )
        _wait_for_rollout(kube, manifests.NAMESPACE, manifests.S3_SERVICE)
    return credentials


def _upload(kube: Kube, credentials: Credentials, capture: Path) -> None:
    with connect(
        kube, manifests.NAMESPACE, manifests.S3_SERVICE, manifests.S3_PORT, credentials
    ) as client:
        existing = {bucket.get("Name") for bucket in client.list_buckets()["Buckets"]}
        if manifests.BUCKET not in existing:
            client.create_bucket(Bucket=manifests.BUCKET)
        count, size = upload_folder(client, capture, manifests.BUCKET, "capture")
    print(f"    {count} files, {size / 1e6:.1f} MB", flush=True)


def _install_operator(
    kube: Kube, images: Images, values: Mapping[str, Any], stages: Stages
) -> None:
    home = manifests.OPERATOR_NAMESPACE
    with (
        stages.stage("helm install splat-operator"),
        waiting_for_pods(kube, home, "the operator to be ready"),
    ):
        kube.apply(manifests.namespace(home))
        print(
            kube.run_helm(
                *("upgrade", "--install", "splat-operator", str(CHART)),
                *("--namespace", home, "--wait", "--timeout", "180s"),
                *("--set-string", _image_values("image", images.operator)),
                *("--set-string", _image_values("trainer.image", images.trainer)),
                *(f"--set-json={name}={json.dumps(value)}" for name, value in values.items()),
            ).rstrip()
        )


def _train(
    kube: Kube, request: manifests.TrainingRequest, stages: Stages, timeout: float
) -> Object:
    name, where = manifests.TRAINING, manifests.NAMESPACE
    title = f"kubectl apply SplatTraining {name}, then kubectl get splattraining {name} --watch"
    with stages.stage(title):
        kube.run("-n", where, "delete", "splattraining", name, "--ignore-not-found", "--wait")
        kube.apply(manifests.splat_training(request))
        ended = follow_to_the_end(kube, where, name, timeout)
    condition = succeeded_condition(ended)
    if condition.get("status") != "True":
        raise DemoError(
            f"SplatTraining {name} failed: {condition.get('reason')}: {condition.get('message')}\n"
            + explain(kube, where, name)
        )
    return ended


def _collect(kube: Kube, credentials: Credentials, output: Path) -> list[Path]:
    if output.exists():
        shutil.rmtree(output)
    output.mkdir(parents=True)
    (output / SUMMARY).touch()
    with connect(
        kube, manifests.NAMESPACE, manifests.S3_SERVICE, manifests.S3_PORT, credentials
    ) as client:
        return download_folder(client, manifests.BUCKET, "output", output)


def _summarise(ended: Object, output: Path, files: list[Path]) -> None:
    for path in files:
        print(f"    {path.stat().st_size:>12,}  {path.relative_to(output.parent)}")
    result = ended["status"].get("result", {})
    (output / SUMMARY).write_text(json.dumps(ended, indent=2) + "\n")
    print(f"\nSucceeded: {json.dumps(result)}")
    print(f"Splat:  {output / 'point_cloud.ply'}")
    print(f"Report: {output / 'report.html'}")


def _wait_for_rollout(kube: Kube, namespace: str, deployment: str) -> None:
    with waiting_for_pods(kube, namespace, f"deployment {deployment}"):
        kube.run(
            *("-n", namespace, "rollout", "status", f"deployment/{deployment}", "--timeout=180s")
        )


def _image_values(image: str, reference: str) -> str:
    """Name an image to the chart; a tag made of digits stays a string."""
    repository, found, digest = reference.partition("@")
    if found:
        return f"{image}.repository={repository},{image}.digest={digest}"
    repository, found, tag = reference.rpartition(":")
    if not found or "/" in tag:  # a colon before a slash is that of a port
        raise DemoError(f"image {reference} has neither tag nor digest: name one of them, too")
    return f"{image}.repository={repository},{image}.tag={tag}"
