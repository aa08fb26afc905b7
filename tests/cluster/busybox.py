"""The image that the cluster's own tests run: Debian's static busybox and nothing else."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from tests.cluster.archive import write_image
from tests.cluster.errors import ClusterError
from tests.cluster.packages import SEARCH, ensure

IMAGE = "splat.test/busybox:1"


def write_busybox_image(archive: Path, name: str = IMAGE, script: Path | None = None) -> None:
    """Write the image as a docker-archive; it runs as a user without rights.

    `script`, if given, is what it runs with a pod's arguments.
    """
    ensure({"busybox": "busybox-static"})
    busybox = shutil.which("busybox", path=SEARCH)
    if busybox is None:
        raise ClusterError("no busybox on this machine: install busybox-static")
    listed = subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True)
    applets = {f"/bin/{name}": "busybox" for name in listed.stdout.split() if name != "busybox"}
    files = {"/bin/busybox": Path(busybox), **({"/bin/entry-point": script} if script else {})}
    write_image(
        archive,
        name,
        files,
        links=applets,
        entrypoint=["/bin/entry-point"] if script else (),
        folders=["/tmp"],  # noqa: S108 - the image's own
    )
