"""The image that the cluster's own tests run: Debian's static busybox and nothing else."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from tests.cluster.archive import write_image
from tests.cluster.errors import ClusterError
from tests.cluster.packages import SEARCH, ensure

IMAGE = "splat.test/busybox:1"


def write_busybox_image(archive: Path) -> None:
    """Write the image as a docker-archive; it runs as a user without rights."""
    ensure({"busybox": "busybox-static"})
    busybox = shutil.which("busybox", path=SEARCH)
    if busybox is None:
        raise ClusterError("no busybox on this machine: install busybox-static")
    listed = subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True)
    applets = {f"/bin/{name}": "busybox" for name in listed.stdout.split() if name != "busybox"}
    write_image(archive, IMAGE, {"/bin/busybox": Path(busybox)}, links=applets, folders=["/tmp"])  # noqa: S108
