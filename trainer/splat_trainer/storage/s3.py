"""A prefix of an S3 bucket as a storage: AWS, or any server that speaks S3."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from boto3.exceptions import Boto3Error
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import BotoCoreError, ClientError

from splat_trainer.contract.environment import Place
from splat_trainer.storage.base import Entry, OnBytes
from splat_trainer.storage.fault import local_fault
from splat_trainer.storage.local import TEMPORARY_PREFIX
from splat_trainer.storage.location import S3Location
from splat_trainer.storage.s3_client import connect
from splat_trainer.storage.s3_fault import s3_fault

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_TRANSFER = TransferConfig(multipart_chunksize=16 << 20, max_concurrency=4)


@dataclass(frozen=True)
class S3Storage:
    """Objects below `location`; `endpoint` is for servers other than AWS.

    `place` is what it is to the run: it may have a server and credentials of its own.
    """

    location: S3Location
    endpoint: str | None = None
    place: Place | None = None

    @cached_property
    def _client(self) -> "S3Client":
        with self._faults("connect to"):
            return connect(self.endpoint, self.place)

    def uri(self, name: str) -> str:
        """Give the object's s3:// address."""
        return f"s3://{self.location.bucket}/{self.location.key(name)}"

    def list(self, folder: str = "") -> Iterator[Entry]:
        """List the objects below `folder`; the empty ones that stand for folders are not told."""
        root = self.location.key("")
        prefix = self.location.key(f"{folder}/" if folder else "")
        with self._faults("list"):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self.location.bucket, Prefix=prefix
            )
            for page in pages:
                for found in page.get("Contents", []):
                    if not found["Key"].endswith("/"):
                        yield Entry(found["Key"][len(root) :], found["Size"])

    def size(self, name: str) -> int | None:
        """Give the object's size, None where there is none."""
        try:
            head = self._client.head_object(
                Bucket=self.location.bucket, Key=self.location.key(name)
            )
        except ClientError as error:
            if error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") == 404:
                return None
            raise s3_fault(error, "read", self.uri(name)) from error
        except BotoCoreError as error:
            raise s3_fault(error, "read", self.uri(name)) from error
        return head["ContentLength"]

    def download(self, name: str, path: Path, on_bytes: OnBytes | None = None) -> None:
        """Stream the object to `path`; large ones in parts, each tried again where it fails.

        boto3 itself writes beside `path` and renames at the end.
        """
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise local_fault(error, "write", path) from error
        with self._faults("read", name):
            self._client.download_file(
                self.location.bucket,
                self.location.key(name),
                str(path),
                Callback=on_bytes,
                Config=_TRANSFER,
            )

    def upload(self, path: Path, name: str, on_bytes: OnBytes | None = None) -> None:
        """Stream `path` to the object; large ones in parts, which become one at the end."""
        with self._faults("write", name):
            self._client.upload_file(
                str(path),
                self.location.bucket,
                self.location.key(name),
                Callback=on_bytes,
                Config=_TRANSFER,
            )

    def delete(self, name: str) -> None:
        """Remove the object."""
        with self._faults("remove", name):
            self._client.delete_object(Bucket=self.location.bucket, Key=self.location.key(name))

    def check_writable(self) -> None:
        """Begin an upload in parts and give it up: it asks for the right to write, and no more."""
        key = self.location.key(f"{TEMPORARY_PREFIX}write-check")
        with self._faults("write"):
            begun = self._client.create_multipart_upload(Bucket=self.location.bucket, Key=key)
            self._client.abort_multipart_upload(
                Bucket=self.location.bucket, Key=key, UploadId=begun["UploadId"]
            )

    @contextmanager
    def _faults(self, doing: str, name: str | None = None) -> Iterator[None]:
        where = str(self.location) if name is None else self.uri(name)
        try:
            yield
        except (ClientError, BotoCoreError, Boto3Error, ValueError) as error:
            raise s3_fault(error, doing, where) from error
        except OSError as error:
            raise local_fault(
                error, f"{doing} {where} through", Path(error.filename or ".")
            ) from error
