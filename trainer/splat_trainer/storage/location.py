"""Where captures lie and outputs go: a local path or s3://bucket/prefix."""

from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from splat_trainer.contract import Reason, TrainerError
from splat_trainer.contract.failure import shown

_SCHEMES = ("s3", "file", "gs", "http", "https")
"""What is meant as an address where only one slash, or none, follows the colon."""

ARCHIVE_SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz")


@dataclass(frozen=True)
class S3Location:
    """A bucket and a key or prefix in it, without slashes at its ends; "" is all of the bucket."""

    bucket: str
    prefix: str

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}" if self.prefix else f"s3://{self.bucket}"

    def key(self, name: str) -> str:
        """Give the key of the object `name` below the prefix."""
        return f"{self.prefix}/{name}" if self.prefix else name


Location = Path | S3Location


def parse_location(uri: str) -> Location:
    """Read a location as people write it; file:///path is the path.

    One that is not text is refused before anything is done: what a run writes in the end names
    its locations, in UTF-8.
    """
    try:
        uri.encode()
    except UnicodeEncodeError as error:
        raise _wrong(uri, "is not UTF-8 text: rename the folder, or use a link to it") from error
    if "://" not in uri:
        if not uri or "\0" in uri:
            raise _wrong(uri, "is no path")
        scheme = uri.partition(":")[0].lower() if ":" in uri else ""
        if scheme in _SCHEMES:  # s3:/bucket would fill a folder named "s3:" and look like success
            raise _wrong(
                uri, f"lacks a slash: write {scheme}://..., or ./{scheme}:... for a folder so named"
            )
        return Path(uri)
    try:
        parts = urlsplit(uri, allow_fragments=False)
    except ValueError as error:
        raise _wrong(uri, f"cannot be read: {error}") from error
    if parts.scheme == "file":
        if parts.netloc not in ("", "localhost") or not parts.path:
            raise _wrong(uri, "names another machine: write file:///path")
        return Path(parts.path)
    if parts.scheme != "s3":
        raise _wrong(uri, "is of a kind that is not known: use a path or s3://bucket/prefix")
    if not parts.netloc or "@" in parts.netloc or ":" in parts.netloc:
        raise _wrong(uri, "names no bucket: write s3://bucket/prefix")
    key = parts.path + (f"?{parts.query}" if parts.query else "")  # keys may hold question marks
    return S3Location(parts.netloc, key.strip("/"))


def is_archive(name: str) -> bool:
    """Whether a name is that of an archive that can be unpacked."""
    return name.lower().endswith(ARCHIVE_SUFFIXES)


def relative_name(name: str) -> PurePosixPath | None:
    """Read a name from an archive or a bucket as a path that stays below where it is put.

    None for one that does not: absolute, with a drive, climbing, or no name at all.
    """
    slashed = name.replace("\\", "/")
    path = PurePosixPath(slashed)
    drive = len(slashed) > 1 and slashed[1] == ":" and slashed[0].isalpha()
    if path.is_absolute() or drive or ".." in path.parts or not path.name or "\0" in name:
        return None
    return path


def _wrong(uri: str, what: str) -> TrainerError:
    return TrainerError(Reason.INVALID_CONFIGURATION, f"the location {shown(uri)} {what}")
