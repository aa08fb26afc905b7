"""Where a run puts its files, and finds those of an earlier run."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from splat_trainer.contract import OutputFile, Reason, TrainerError
from splat_trainer.contract.environment import Place
from splat_trainer.contract.failure import shown
from splat_trainer.storage.base import OnBytes, Storage
from splat_trainer.storage.fault import local_fault
from splat_trainer.storage.local import LocalStorage
from splat_trainer.storage.location import S3Location, parse_location, relative_name


@dataclass(frozen=True)
class Output:
    """A run's output folder, local or on S3. Names are relative: "previews/view_001.png"."""

    storage: Storage

    def put(
        self,
        path: Path,
        name: str,
        format: str,
        on_bytes: OnBytes | None = None,
    ) -> OutputFile:
        """Put the local file `path` under `name`, whole or not at all, and say what it is."""
        _check(name)
        try:
            size = path.stat().st_size
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise local_fault(error, "read", path) from error
        self.storage.upload(path, name, on_bytes)
        return OutputFile(format=format, uri=self.storage.uri(name), bytes=size, sha256=digest)

    def get(self, name: str, path: Path, on_bytes: OnBytes | None = None) -> bool:
        """Copy the file `name` to the local `path`; false where there is none."""
        _check(name)
        if self.storage.size(name) is None:
            return False
        self.storage.download(name, path, on_bytes)
        return True

    def names(self, folder: str = "") -> list[str]:
        """List the names of the files below `folder`, sorted; all of them for ""."""
        if folder:
            _check(folder)
        return sorted(entry.name for entry in self.storage.list(folder))

    def delete(self, name: str) -> None:
        """Remove the file `name`; one that is not there is no fault."""
        _check(name)
        self.storage.delete(name)

    def uri(self, name: str) -> str:
        """Say where the file `name` lies."""
        return self.storage.uri(name)


def open_output(uri: str, *, endpoint: str | None = None, place: Place = Place.OUTPUT) -> Output:
    """Open the output at `uri`, a local folder or s3://bucket/prefix; fail now if it is shut.

    `place` is what it is to the run, by which it may have credentials of its own.
    """
    location = parse_location(uri)
    storage: Storage
    if isinstance(location, S3Location):
        from splat_trainer.storage.s3 import S3Storage  # noqa: PLC0415 - boto3 takes its time

        storage = S3Storage(location, endpoint, place)
    else:
        storage = LocalStorage(location)
    storage.check_writable()
    return Output(storage)


def _check(name: str) -> None:
    if relative_name(name) is None:
        raise TrainerError(
            Reason.INVALID_CONFIGURATION, f"the name {shown(name)} leads out of the output"
        )
