"""Put images from archives into a cluster's containerd, where pods find them without a pull."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from tests.cluster.errors import ClusterError
from tests.cluster.layout import Layout
from tests.cluster.processes import inside
from tests.cluster.tools import of_cluster


def load_image(layout: Layout, archive: Path) -> list[str]:
    """Import a docker or OCI archive and give the names of the images in it."""
    ctr = of_cluster(layout).program("ctr")
    images = [ctr, f"--address={layout.containerd_socket}", "--namespace=k8s.io", "images"]
    try:
        file = archive.open("rb")
    except OSError as error:
        raise ClusterError(f"cannot read the image archive {archive}: {error.strerror}") from error
    with file:
        # Through a descriptor: the file may be in a folder that the cluster's mounts hide.
        done = subprocess.run(
            inside(layout, [*images, "import", "-"]), stdin=file, capture_output=True, check=False
        )
    output = done.stdout.decode(errors="replace")
    if done.returncode:
        detail = (done.stderr.decode(errors="replace") or output).strip()
        raise ClusterError(f"containerd refused {archive}: {detail}")
    return re.findall(r"^unpacking (\S+)", output, re.MULTILINE)
