"""A real S3-compatible server for tests: versitygw on the loopback, over a folder.

The binary is the one that SPLAT_VERSITYGW names, or the cluster's, where it is built already, or
one built here from the same go.mod; without Go the tests that need it are skipped.
"""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cluster.building import PACKAGES, SOURCE, fingerprint, pinned
from tests.cluster.layout import cache_root

ACCESS_KEY = "test-access"
SECRET_KEY = "test-secret"  # noqa: S105 - of a server that lives for a test
START_SECONDS = 30


@dataclass(frozen=True)
class S3Server:
    """A running server. Its buckets are the folders of `root`, its objects the files in them."""

    url: str
    root: Path

    @property
    def environment(self) -> dict[str, str]:
        """What a client's environment needs, and nothing of this machine's own."""
        return {
            "AWS_ENDPOINT_URL_S3": self.url,
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }


@contextmanager
def s3_server(folder: Path) -> Iterator[S3Server]:
    """Run a server over `folder` until the block ends."""
    root, metadata = folder / "buckets", folder / "metadata"
    for made in (root, metadata):
        made.mkdir(parents=True)
    port = _free_port()
    log = folder / "server.log"
    command: list[str | Path] = [
        versitygw(),
        "--port",
        f"127.0.0.1:{port}",
        "posix",
        "--sidecar",
        metadata,
        root,
    ]
    environment = {"ROOT_ACCESS_KEY": ACCESS_KEY, "ROOT_SECRET_KEY": SECRET_KEY}
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env=environment)
    try:
        _wait(port, process, log)
        yield S3Server(f"http://127.0.0.1:{port}", root)
    finally:
        process.terminate()
        process.wait()


def versitygw() -> Path:
    """Find the server's binary, or build it once for each version that go.mod pins."""
    chosen = os.environ.get("SPLAT_VERSITYGW")
    if chosen:
        return Path(chosen)
    with_cluster = cache_root() / f"tools-{fingerprint(SOURCE)}" / "bin" / "versitygw"
    if with_cluster.exists():
        return with_cluster
    version = pinned("github.com/versity/versitygw", (SOURCE / "go.mod").read_text())
    alone = cache_root() / f"versitygw-{version}"
    if not alone.exists():
        _build(alone)
    return alone


def _build(binary: Path) -> None:
    go = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin:/usr/lib/go/bin")
    if go is None:
        pytest.skip("no Go on this machine to build the S3 server with")
    binary.parent.mkdir(parents=True, exist_ok=True)
    half = binary.with_name(f"{binary.name}.{os.getpid()}")
    command: list[str | Path] = [
        go,
        "build",
        "-trimpath",
        "-ldflags",
        "-s -w",
        "-o",
        half,
        PACKAGES["versitygw"],
    ]
    environment = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-buildvcs=false -mod=readonly"}
    done = subprocess.run(
        command, cwd=SOURCE, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"building versitygw failed:\n{done.stderr[-2000:]}")
    half.rename(binary)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait(port: int, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError(f"the S3 server did not start:\n{log.read_text()[-2000:]}")
