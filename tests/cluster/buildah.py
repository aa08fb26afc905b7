"""Buildah without a daemon, without a registry, without its mounts outliving it."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.cluster import packages
from tests.cluster.errors import ClusterError
from tests.cluster.host_settings import Mount
from tests.cluster.layout import cache_root


def images_root() -> Path:
    """The folder of built images and of what they were built from."""
    return cache_root() / "images"


def say(line: str) -> None:
    """Print a line of progress."""
    print(f"==> {line}", file=sys.stderr, flush=True)


@contextlib.contextmanager
def one_at_a_time(name: str) -> Iterator[None]:
    """Hold the lock `name` of the image cache; the kernel lets go of it when the process dies."""
    path = images_root() / "locks" / f"{name}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@dataclass(frozen=True)
class Buildah:
    """A store of images and layers, and the commands that work on it."""

    store: Path
    driver: str

    @classmethod
    def open(cls) -> Buildah:
        """Open the store of the cache, on overlay where the file system allows it.

        What builds images is installed where it is missing.

        Raises:
            ClusterError: it cannot be.
        """
        root = images_root()
        root.mkdir(parents=True, exist_ok=True)
        with one_at_a_time("packages"):
            packages.ensure(packages.IMAGES)
        driver = "overlay" if _overlay_works_in(root) else "vfs"
        return cls(root / f"store-{driver}", driver)

    def build(
        self,
        *,
        dockerfile: Path,
        context: Path,
        reference: str,
        arguments: Mapping[str, str],
        mounts: Sequence[Mount] = (),
        target: str | None = None,
        ignore_file: Path | None = None,
    ) -> None:
        """Build `dockerfile` and name the result; layers that did not change are taken as built.

        Raises:
            ClusterError: the build failed, with the end of its log.
        """
        self._run(
            "build",
            "--isolation=chroot",
            "--layers",
            "--format=docker",
            "--pull-never",
            f"--file={dockerfile}",
            f"--tag={reference}",
            *(f"--build-arg={name}={value}" for name, value in arguments.items()),
            *(f"--volume={mount}" for mount in mounts),
            *([f"--target={target}"] if target else []),
            *([f"--ignorefile={ignore_file}"] if ignore_file else []),
            str(context),
        )

    def has(self, reference: str) -> bool:
        """Tell whether an image of that name is in the store."""
        images = json.loads(self._run("images", "--json"))
        return any(reference in (image["names"] or ()) for image in images)

    def save(self, reference: str, archive: Path) -> None:
        """Write the image as a docker-archive; the file appears whole or not at all."""
        archive.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=archive.parent) as folder:
            unfinished = Path(folder) / "image.tar"
            self._run("push", "--quiet", reference, f"docker-archive:{unfinished}:{reference}")
            unfinished.rename(archive)

    def remove(self, reference: str) -> None:
        """Forget an image, and the layers that no other one needs."""
        self._run("rmi", "--force", reference)

    def forget_layers_older_than(self, seconds: float) -> None:
        """Remove intermediate layers of that age that no image needs."""
        images = json.loads(self._run("images", "--all", "--json"))
        limit = time.time() - seconds
        old = [i for i in images if not i["names"] and i["created"] < limit]
        for image in sorted(old, key=lambda i: -i["created"]):
            with contextlib.suppress(ClusterError):  # an image stands on it
                self._run("rmi", image["id"])

    def _run(self, *arguments: str) -> str:
        # A mount namespace of its own: what buildah mounts goes when it goes, killed or not.
        command = [
            "unshare", "--mount", "--propagation=private",
            "buildah", f"--root={self.store}", f"--runroot={self.store}-run",
            f"--storage-driver={self.driver}", *arguments,
        ]  # fmt: skip
        log = images_root() / "logs" / f"{arguments[0]}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        scratch = images_root() / "tmp"  # what Dockerfiles cache (RUN --mount=type=cache), too
        scratch.mkdir(exist_ok=True)
        environ = {**os.environ, "TMPDIR": str(scratch)}
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environ)
        if arguments[0] == "build":
            log.write_text(done.stdout + done.stderr)
        if done.returncode:
            end = "\n".join((done.stdout + done.stderr).splitlines()[-30:])
            raise ClusterError(f"buildah {arguments[0]} failed; the end of its log:\n{end}")
        return done.stdout


def _overlay_works_in(folder: Path) -> bool:
    """Try a mount of overlay with its parts in `folder`; overlay on overlay is refused."""
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        for part in ("lower", "upper", "work", "merged"):
            (Path(scratch) / part).mkdir()
        options = f"lowerdir={scratch}/lower,upperdir={scratch}/upper,workdir={scratch}/work"
        done = subprocess.run(
            ["unshare", "--mount", "--propagation=private",
             "mount", "-t", "overlay", "-o", options, "overlay", f"{scratch}/merged"],
            capture_output=True, check=False,
        )  # fmt: skip
        return done.returncode == 0
