"""Names of the environment variables that the trainer reads."""

from enum import StrEnum

ITERATIONS = "ITERATIONS"
DENSIFY_UNTIL_ITER = "DENSIFY_UNTIL_ITER"
DENSIFICATION_INTERVAL = "DENSIFICATION_INTERVAL"

RESULT_PATH = "SPLAT_RESULT_PATH"
"""File that gets the result document; a pod's is its termination message."""

RUN_ID = "SPLAT_RUN_ID"
"""Whose run this is: --resume goes on from checkpoints of this run only. Without it, from any."""

FORMATS = "SPLAT_FORMATS"
"""Formats of the splat beside the PLY, separated by commas, where --formats does not say."""

PROGRESS_URL = "SPLAT_PROGRESS_URL"
"""HTTPS address that progress documents are POSTed to."""

PROGRESS_TOKEN_FILE = "SPLAT_PROGRESS_TOKEN_FILE"  # noqa: S105 - a path
"""File with the bearer token for it; read again at every post, as the kubelet rotates it."""

PROGRESS_CA_FILE = "SPLAT_PROGRESS_CA_FILE"
"""File with the certificate authority that signed the address's certificate."""

S3_ENDPOINT_URL = "AWS_ENDPOINT_URL_S3"
"""The S3 endpoint, under the name that boto3 and the AWS CLI read themselves."""

S3_REGION = "AWS_DEFAULT_REGION"
S3_ACCESS_KEY_ID = "AWS_ACCESS_KEY_ID"
S3_SECRET_ACCESS_KEY = "AWS_SECRET_ACCESS_KEY"  # noqa: S105 - a name
S3_SESSION_TOKEN = "AWS_SESSION_TOKEN"  # noqa: S105 - a name


class Place(StrEnum):
    """A place of a run; the value stands before the names of variables that are its alone.

    `SPLAT_OUTPUT_AWS_ENDPOINT_URL_S3` is the endpoint of the output and of nothing else: so
    capture, output and checkpoints may lie in three object stores.
    """

    DATA = "SPLAT_DATA_"
    OUTPUT = "SPLAT_OUTPUT_"
    CHECKPOINTS = "SPLAT_CHECKPOINTS_"

    def variable(self, name: str) -> str:
        """Give the variable that says for this place what `name` says for all."""
        return self.value + name


KERNELS_DIR = "SPLAT_KERNELS_DIR"
"""The kernel cache: a folder with one folder a key, or one that holds gsplat_cuda.so itself."""

KERNELS_ON_MISS = "SPLAT_KERNELS_ON_MISS"
"""compile (the default) or fail: what a run does whose kernels are not there."""
