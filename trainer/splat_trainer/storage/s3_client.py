"""How an S3 server is reached: endpoint, region and credentials, of all places or of one."""

import os
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config

from splat_trainer.contract import Reason, TrainerError
from splat_trainer.contract.environment import (
    S3_ACCESS_KEY_ID,
    S3_ENDPOINT_URL,
    S3_REGION,
    S3_SECRET_ACCESS_KEY,
    S3_SESSION_TOKEN,
    Place,
)

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_ATTEMPTS = 6


def connect(endpoint: str | None, place: Place | None) -> "S3Client":
    """Make a client: credentials and region as boto3 finds them, but for a place's own.

    A place's own variables win over `endpoint`, which is meant for every place. Raises
    TrainerError where its credentials are only half there.
    """
    endpoint = (
        _own(place, S3_ENDPOINT_URL)
        or endpoint
        or os.environ.get(S3_ENDPOINT_URL)
        or os.environ.get("AWS_ENDPOINT_URL")
    )
    session = _session(place)
    attempts = int(os.environ.get("AWS_MAX_ATTEMPTS") or _ATTEMPTS)
    config = Config(
        retries={"mode": "standard", "total_max_attempts": attempts},
        connect_timeout=10,
        read_timeout=30,
        max_pool_connections=32,
    )
    if endpoint:
        # Other servers seldom have a host name for each bucket, and not all know the
        # checksums that botocore adds unasked since 1.36.
        config = config.merge(
            Config(
                s3={"addressing_style": "path"},
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
            )
        )
    return session.client(
        "s3",
        endpoint_url=endpoint or None,
        region_name=_own(place, S3_REGION) or session.region_name or "us-east-1",
        config=config,
    )


def _session(place: Place | None) -> boto3.session.Session:
    """Take a place's own credentials whole or not at all: never one's key and another's secret."""
    key, secret = _own(place, S3_ACCESS_KEY_ID), _own(place, S3_SECRET_ACCESS_KEY)
    if not key and not secret:
        return boto3.session.Session()
    if place and not (key and secret):
        names = place.variable(S3_ACCESS_KEY_ID), place.variable(S3_SECRET_ACCESS_KEY)
        there, missing = names if key else reversed(names)
        raise TrainerError(
            Reason.INVALID_CONFIGURATION, f"{there} is set and {missing} is not: set both"
        )
    return boto3.session.Session(
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        aws_session_token=_own(place, S3_SESSION_TOKEN),
    )


def _own(place: Place | None, name: str) -> str | None:
    return (os.environ.get(place.variable(name)) or None) if place else None
