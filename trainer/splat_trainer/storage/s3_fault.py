"""Says what an S3 server's answer means for whoever waits: try again, or mend what, where.

Codes: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
"""

from botocore import exceptions as boto
from botocore.exceptions import ClientError

from splat_trainer.contract import Reason, TrainerError

_NOT_THERE = {"NoSuchBucket", "NoSuchKey", "404", "NotFound"}
_DENIED = {
    "401",
    "403",
    "AccessDenied",
    "AccountProblem",
    "AllAccessDisabled",
    "AuthorizationHeaderMalformed",
    "ExpiredToken",
    "Forbidden",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "InvalidToken",
    "SignatureDoesNotMatch",
    "TokenRefreshRequired",
    "XAdminUserNotFound",  # versitygw's word for an access key that it does not know
}
_TRY_AGAIN = {"RequestTimeout", "SlowDown", "OperationAborted"}
_CREDENTIALS = (
    boto.NoCredentialsError,
    boto.PartialCredentialsError,
    boto.CredentialRetrievalError,
    boto.ProfileNotFound,
    boto.UnauthorizedSSOTokenError,
)
_CONFIGURATION = (boto.ParamValidationError, boto.InvalidRegionError, boto.UnknownServiceError)


def s3_fault(error: Exception, doing: str, where: str) -> TrainerError:
    """Say what happened when we were `doing` (a verb: "read") something to `where`."""
    text = f"cannot {doing} {where}"
    answer = _client_error(error)
    if answer is not None:
        reason, what = _answered(answer, reading=doing in ("read", "list"))
    elif isinstance(error, _CREDENTIALS):
        reason = Reason.STORAGE_DENIED
        what = (
            f"{_line(error)}: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, "
            "or give the pod a role"
        )
    elif isinstance(error, (*_CONFIGURATION, ValueError)):
        reason, what = Reason.INVALID_CONFIGURATION, _line(error)
    else:
        reason, what = Reason.STORAGE_UNAVAILABLE, f"{_line(error)}: try again"
    return TrainerError(reason, f"{text}: {what}")


def _answered(answer: ClientError, *, reading: bool) -> tuple[Reason, str]:
    """Say what a server's answer means; what we read is the capture, the rest is configured."""
    code = str(answer.response.get("Error", {}).get("Code", "unknown"))
    status = answer.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    if code in _NOT_THERE:
        what = "the bucket" if code == "NoSuchBucket" else "it"
        reason = Reason.CAPTURE_NOT_FOUND if reading else Reason.INVALID_CONFIGURATION
        return reason, f"{what} is not there ({code}): check the name"
    if code in _DENIED or status in (401, 403):
        what = f"the server refuses ({code}): check the credentials and their rights"
        return Reason.STORAGE_DENIED, what
    passing = code in _TRY_AGAIN or status in (None, 408, 425, 429) or status >= 500
    if not passing:
        what = f"the server says {code}: check the bucket's name, its region and the endpoint"
        return Reason.INVALID_CONFIGURATION, what
    return Reason.STORAGE_UNAVAILABLE, f"the server says {code} ({status}): try again"


def _client_error(error: BaseException | None) -> ClientError | None:
    """Find the server's answer below what boto3 wraps around it."""
    while error is not None:
        if isinstance(error, ClientError):
            return error
        error = error.__cause__ or error.__context__
    return None


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
