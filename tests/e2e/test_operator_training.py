"""From `kubectl apply` to a splat, with the real trainer, from claim to claim and on S3."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import pytest
import yaml
from botocore.config import Config

from tests.cluster.layout import REPOSITORY
from tests.e2e import trainer
from tests.e2e.interruptions import evict, goes_on, interrupted
from tests.e2e.trainings import (
    CAPTURES,
    QUICK,
    S3_SECRET,
    SPLATS,
    Namespace,
    Raw,
    condition,
    message_of,
    reason_of,
    s3,
    secret,
    training,
)

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

pytestmark = pytest.mark.cluster

S3_SERVER = REPOSITORY / "deploy" / "examples" / "s3-server.yaml"
SUBMIT = REPOSITORY / "deploy" / "examples" / "submit.py"

OTHER_SECRET = "s3-credentials-of-the-output"  # noqa: S105 - a name
KEYS = {"AWS_ACCESS_KEY_ID": "access", "AWS_SECRET_ACCESS_KEY": "a-secret-of-this-test"}


@pytest.fixture(scope="module")
def garden(shared_trainings: Namespace) -> Namespace:
    """The module's namespace with a small capture on a claim."""
    shared_trainings.make_capture()
    return shared_trainings


@pytest.fixture(scope="module")
def done(garden: Namespace) -> Raw:
    """The status of a training that has succeeded."""
    output = {
        "persistentVolumeClaim": {"claimName": SPLATS, "path": "garden"},
        "formats": ["spz", "compressed-ply"],
    }
    garden.apply(training("garden", output=output, qualityGate={"minPsnr": 5}))
    return garden.wait_for_phase("garden", "Succeeded", 180)


def test_a_capture_on_a_claim_becomes_a_splat_on_another(garden: Namespace, done: Raw) -> None:
    (ply,) = [output for output in done["outputs"] if output["format"] == "ply"]
    assert ply["uri"] == f"pvc://{SPLATS}/garden/point_cloud.ply"
    script = "cd /volume/garden && sha256sum point_cloud.ply && head -c 3 point_cloud.ply"
    seen = garden.run_shell("look", script, SPLATS)
    assert seen.startswith(ply["sha256"])
    assert seen.endswith("ply")


def test_every_format_asked_for_is_on_the_claim_as_the_status_says(
    garden: Namespace, done: Raw
) -> None:
    told = {output["format"]: output for output in done["outputs"]}
    assert list(told)[:3] == ["ply", "spz", "compressed-ply"]
    names = ("point_cloud.ply", "point_cloud.spz", "point_cloud.compressed.ply")
    script = f"cd /volume/garden && sha256sum {' '.join(names)} && wc -c {' '.join(names)}"
    seen = garden.run_shell("look-at-formats", script, SPLATS).split()
    for (output, name), checksum, size in zip(
        zip(list(told.values())[:3], names, strict=True), seen[:6:2], seen[6:12:2], strict=True
    ):
        assert output["uri"] == f"pvc://{SPLATS}/garden/{name}"
        assert (output["sha256"], str(output["bytes"])) == (checksum, size)


def test_the_status_tells_what_came_of_it(done: Raw) -> None:
    assert condition(done, "Succeeded")["status"] == "True"
    assert reason_of(done) == "Trained"
    assert condition(done, "Running")["status"] == "False"
    assert done["attempts"] == 1
    assert done["result"]["iterations"] == QUICK["iterations"]
    assert done["result"]["qualityGate"] == "Passed"
    assert re.fullmatch(r"\d+\.\d\d", done["result"]["psnr"])
    assert done["progress"]["percent"] == "100%"
    assert done["progress"]["psnr"] == done["result"]["psnr"]
    assert done["startTime"] <= done["completionTime"]


def test_the_columns_of_kubectl_get_tell_the_story(garden: Namespace, done: Raw) -> None:
    scope = f"--namespace={garden.name}"
    table = garden.cluster.kubectl("get", "splat", "garden", "--output=wide", scope)
    header, row = (line.split() for line in table.splitlines())
    shown = dict(zip(header, row, strict=False))
    assert shown["PHASE"] == "Succeeded"
    assert shown["PROGRESS"] == "100%"
    assert shown["PSNR"] == done["result"]["psnr"]
    assert shown["GAUSSIANS"] == str(done["result"]["gaussians"])
    assert "Trained" in row
    assert row[-1] == f"pvc://{SPLATS}/garden/point_cloud.ply"


def test_kubectl_wait_waits_for_the_end_also_when_something_was_changed_after_it(
    garden: Namespace, done: Raw
) -> None:
    assert garden.patch("garden", ttlSecondsAfterFinished=3600).returncode == 0
    garden.cluster.kubectl(
        *("wait", "--for=condition=Succeeded", "splattraining/garden", "--timeout=30s"),
        f"--namespace={garden.name}",
    )


def test_its_events_are_on_the_resource(garden: Namespace, done: Raw) -> None:
    events = garden.cluster.list("events", garden.name)
    reasons = [
        event["reason"]
        for event in sorted(events, key=lambda event: str(event.get("eventTime")))
        if event["involvedObject"]["kind"] == "SplatTraining"
        and event["involvedObject"]["name"] == "garden"
    ]
    assert reasons[0] == "JobCreated"
    assert reasons[-1] == "Trained"


def test_the_pod_had_no_token_for_the_api_and_no_secret_in_its_spec(
    garden: Namespace, done: Raw
) -> None:
    (pod,) = [pod for pod in garden.pods() if pod["metadata"]["name"] == done["podName"]]
    sources = [
        source
        for volume in pod["spec"]["volumes"]
        for source in volume.get("projected", {}).get("sources", [])
    ]
    audiences = [
        source["serviceAccountToken"].get("audience")
        for source in sources
        if "serviceAccountToken" in source
    ]
    assert audiences == ["splatting.dev/progress"]


def test_a_damaged_capture_fails_at_once_with_the_trainers_one_line(garden: Namespace) -> None:
    garden.run_shell(
        "damage",
        "cp -r /volume/garden /volume/damaged && cd /volume/damaged/sparse/0 && "
        "head -c 100 points3D.bin > cut && mv cut points3D.bin",
    )
    damaged = {"persistentVolumeClaim": {"claimName": CAPTURES, "path": "damaged"}}
    garden.apply(training("damaged", source=damaged))
    status = garden.wait_for_phase("damaged", "Failed")
    assert reason_of(status) == "InvalidCapture"
    assert "points3D.bin" in message_of(status)
    assert "\n" not in message_of(status)
    assert status["attempts"] == 1
    assert condition(status, "Succeeded")["status"] == "False"


def test_a_capture_that_is_not_there_fails_at_once(garden: Namespace) -> None:
    nowhere = {"persistentVolumeClaim": {"claimName": CAPTURES, "path": "nowhere"}}
    garden.apply(training("nowhere", source=nowhere))
    status = garden.wait_for_phase("nowhere", "Failed")
    assert reason_of(status) == "CaptureNotFound"
    assert status["attempts"] == 1


def test_a_splat_below_the_quality_gate_has_failed_and_stays(garden: Namespace) -> None:
    garden.apply(training("gated", qualityGate={"minPsnr": "99.9"}))
    status = garden.wait_for_phase("gated", "Failed")
    assert reason_of(status) == "QualityGateFailed"
    assert status["result"]["qualityGate"] == "Failed"
    assert status["outputs"][0]["format"] == "ply"


def test_a_users_python_makes_a_training_and_follows_it_to_its_end(
    garden: Namespace, tmp_path: Path
) -> None:
    manifest = tmp_path / "training.yaml"
    manifest.write_text(yaml.safe_dump(training("from-python")))
    done = subprocess.run(
        [sys.executable, SUBMIT, manifest, f"--namespace={garden.name}"],
        env=dict(garden.cluster.environment),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "from-python Succeeded 100%" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("Trained: ")


@pytest.fixture(scope="module")
def buckets(
    garden: Namespace, s3_server_image: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[S3Client]:
    """A client of the example's S3 server in the module's namespace, with a capture in it."""
    folder = tmp_path_factory.mktemp("capture")
    made = trainer.run("synth", "--output", folder, "--views", "8", "--size", "32")
    assert made.returncode == 0, made.stderr
    server = list(yaml.safe_load_all(S3_SERVER.read_text(encoding="utf-8")))
    server[0]["spec"]["template"]["spec"]["containers"][0]["image"] = s3_server_image
    garden.apply(secret(S3_SECRET, **KEYS), secret(OTHER_SECRET, **KEYS), *server)
    scope = f"--namespace={garden.name}"
    garden.cluster.kubectl("rollout", "status", "deployment/s3", scope, "--timeout=60s")
    with garden.cluster.forwarded("svc/s3", 7070, garden.name) as address:
        client = boto3.client(
            "s3",
            endpoint_url=f"http://{address}",
            region_name="us-east-1",
            aws_access_key_id=KEYS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=KEYS["AWS_SECRET_ACCESS_KEY"],
            config=Config(s3={"addressing_style": "path"}, proxies={}),
        )
        for bucket in ("captures", "splats"):
            client.create_bucket(Bucket=bucket)
        for path in filter(Path.is_file, folder.rglob("*")):
            key = f"garden/{path.relative_to(folder).as_posix()}"
            client.upload_file(str(path), "captures", key)
        yield client


def test_a_capture_in_a_bucket_becomes_a_splat_in_another(
    garden: Namespace, buckets: S3Client
) -> None:
    output = s3("s3://splats/a")
    output["s3"]["credentialsSecretRef"] = {"name": OTHER_SECRET}
    garden.apply(training("bucket", source=s3("s3://captures/garden"), output=output))
    status = garden.wait_for_phase("bucket", "Succeeded", 180)
    (ply,) = [output for output in status["outputs"] if output["format"] == "ply"]
    assert ply["uri"] == "s3://splats/a/point_cloud.ply"
    stored = buckets.get_object(Bucket="splats", Key="a/point_cloud.ply")["Body"].read()
    assert len(stored) == ply["bytes"]
    assert hashlib.sha256(stored).hexdigest() == ply["sha256"]


def test_an_evicted_pod_is_replaced_without_counting_and_goes_on_from_another_volume(
    garden: Namespace, buckets: S3Client
) -> None:
    where = {"persistentVolumeClaim": {"claimName": SPLATS, "path": "scratch"}}
    output, checkpoint = s3("s3://splats/evicted"), {"where": where}
    pod, step = interrupted(garden, "evicted", maxRetries=0, output=output, checkpoint=checkpoint)
    evict(garden, pod)
    status = goes_on(garden, "evicted", step)
    kept = f"pvc://{SPLATS}/scratch/{status['jobName']}/checkpoint_"
    assert status["checkpoint"]["uri"].startswith(kept)
    assert status["checkpoint"]["iteration"] >= step
    found = buckets.list_objects_v2(Bucket="splats", Prefix="evicted/").get("Contents", [])
    assert not [one for one in found if "checkpoint" in one["Key"]]


def test_the_secret_is_nowhere_but_in_its_secret(garden: Namespace, buckets: S3Client) -> None:
    written = garden.cluster.kubectl(
        *("get", "splattrainings,jobs,pods,events", "--output=json"),
        f"--namespace={garden.name}",
    )
    assert KEYS["AWS_SECRET_ACCESS_KEY"] not in written


def test_wrong_credentials_fail_at_once_and_say_so(garden: Namespace, buckets: S3Client) -> None:
    wrong = {**KEYS, "AWS_SECRET_ACCESS_KEY": "not-the-secret"}
    garden.apply(secret("wrong-credentials", **wrong))
    place = s3("s3://captures/garden")
    place["s3"]["credentialsSecretRef"] = {"name": "wrong-credentials"}
    garden.apply(training("denied", source=place))
    status = garden.wait_for_phase("denied", "Failed")
    assert reason_of(status) == "StorageDenied"
    assert status["attempts"] == 1
    assert "not-the-secret" not in str(garden.training("denied"))
