"""The demo's S3: a server in the cluster, reached from here through a port-forward."""

import mimetypes
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config

from deploy.demo.kube import Kube

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


@dataclass(frozen=True)
class Credentials:
    """An access key of the demo's server, made anew for each demo."""

    access_key_id: str
    secret_access_key: str


@contextmanager
def connect(
    kube: Kube, namespace: str, service: str, port: int, credentials: Credentials
) -> Iterator["S3Client"]:
    """Give a client of the server behind `service` for as long as the block lasts."""
    with kube.port_forward(namespace, f"service/{service}", port) as local_port:
        yield boto3.client(
            "s3",
            endpoint_url=f"http://127.0.0.1:{local_port}",
            region_name="us-east-1",
            aws_access_key_id=credentials.access_key_id,
            aws_secret_access_key=credentials.secret_access_key,
            config=Config(
                s3={"addressing_style": "path"},
                retries={"max_attempts": 8, "mode": "standard"},
                proxies={},
            ),
        )


def upload_folder(client: "S3Client", folder: Path, bucket: str, prefix: str) -> tuple[int, int]:
    """Upload every file below `folder`; gives how many files and bytes."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    for path in files:
        kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        key = f"{prefix}/{path.relative_to(folder).as_posix()}"
        client.upload_file(str(path), bucket, key, ExtraArgs={"ContentType": kind})
    return len(files), sum(path.stat().st_size for path in files)


def download_folder(client: "S3Client", bucket: str, prefix: str, folder: Path) -> list[Path]:
    """Download every object below `prefix`; gives the files, by name."""
    files = []
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{prefix}/")
    for page in pages:
        for entry in page.get("Contents", []):
            target = folder / entry["Key"].removeprefix(f"{prefix}/")
            target.parent.mkdir(parents=True, exist_ok=True)
            client.download_file(bucket, entry["Key"], str(target))
            files.append(target)
    return sorted(files)
