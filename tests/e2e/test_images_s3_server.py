"""deploy/examples/s3-server.yaml: an object store that runs restricted and keeps its objects."""

from __future__ import annotations

from typing import TYPE_CHECKING

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.cluster.client import Cluster
from tests.cluster.layout import REPOSITORY
from tests.conftest import NewNamespace
from tests.e2e.restricted import RESTRICTED

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

pytestmark = pytest.mark.cluster

MANIFESTS = REPOSITORY / "deploy" / "examples" / "s3-server.yaml"
KEYS = {"AWS_ACCESS_KEY_ID": "someone", "AWS_SECRET_ACCESS_KEY": "a-secret-of-this-test"}


def client(address: str, secret_key: str) -> S3Client:
    return boto3.client(
        "s3",
        endpoint_url=f"http://{address}",
        region_name="us-east-1",
        aws_access_key_id=KEYS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=secret_key,
        config=Config(s3={"addressing_style": "path"}, proxies={}),
    )


def test_objects_come_back_and_a_wrong_secret_is_refused(
    cluster: Cluster, new_namespace: NewNamespace, s3_server_image: str
) -> None:
    namespace = new_namespace(RESTRICTED)
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "s3-credentials"},
        "stringData": KEYS,
    }
    cluster.apply(secret, namespace=namespace)
    manifests = MANIFESTS.read_text().replace("splat.test/s3-server", s3_server_image)
    scope = f"--namespace={namespace}"
    cluster.kubectl("apply", "--server-side", scope, "--filename=-", stdin=manifests)
    cluster.kubectl("rollout", "status", "deployment/s3", scope, "--timeout=60s")

    with cluster.forwarded("svc/s3", 7070, namespace) as address:
        s3 = client(address, KEYS["AWS_SECRET_ACCESS_KEY"])
        s3.create_bucket(Bucket="splats")
        s3.put_object(Bucket="splats", Key="garden/images/1.jpg", Body=b"photo")
        body = s3.get_object(Bucket="splats", Key="garden/images/1.jpg")["Body"].read()
        assert body == b"photo"
        listed = s3.list_objects_v2(Bucket="splats", Prefix="garden/")["Contents"]
        assert [entry["Key"] for entry in listed] == ["garden/images/1.jpg"]

        with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
            client(address, "wrong").list_buckets()
