"""What `pack` collects is enough where the machine has none of it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster import client, lifecycle
from tests.cluster.building import built
from tests.cluster.busybox import IMAGE, write_busybox_image
from tests.cluster.errors import ClusterError
from tests.cluster.layout import REPOSITORY, Layout
from tests.cluster.looking import output_of, wait_for_phase
from tests.cluster.manifests import pod
from tests.cluster.pack import collect
from tests.cluster.packages import CLUSTER, ensure
from tests.cluster.tools import on_this_machine, unpacked

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="making a cluster needs root")

# Hidden from the packed cluster, with the libraries that only they use.
CARRIED = {*CLUSTER.values(), "libxtables12", "libnftnl11", "libmnl0", "libbpf1"}
KEPT = {"openssl", "util-linux", "mount"}


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    ensure(CLUSTER)
    folder = tmp_path_factory.mktemp("packed")
    collect(on_this_machine(built()), folder)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def layout() -> Iterator[Layout]:
    name = f"t-{uuid.uuid4().hex[:8]}"
    yield Layout.of(name)
    lifecycle.down(name)


@pytest.mark.cluster
def test_a_packed_cluster_runs_where_the_machine_has_no_tools(
    packed: Path, layout: Layout, tmp_path: Path
) -> None:
    up = [sys.executable, "-m", "tests.cluster", "up", f"--name={layout.name}", f"--tools={packed}"]
    hide = 'for file in $HIDDEN; do mount --bind /dev/null "$file"; done; ! iptables -V && "$@"'
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", hide, "sh", *up],
        env={**os.environ, "HIDDEN": " ".join(_files_of(CARRIED - KEPT)), "PYTHONNOUSERSITE": "1"},
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr

    cluster = client.own(layout)
    write_busybox_image(tmp_path / "busybox.tar")
    assert cluster.load_image(tmp_path / "busybox.tar") == [IMAGE]
    page = "echo served > /tmp/page; exec httpd -f -p 8080 -h /tmp"
    cluster.apply(pod("web", page), namespace="default")
    wait_for_phase(cluster, "web", "default", "Running")
    cluster.kubectl("expose", "pod", "web", "--port=80", "--target-port=8080", "--name=front")
    # Through DNS and the packet filter, which are the packed ones; until that knows of the pod
    # behind the service, there is no route to it, which wget says aloud.
    fetch = "until wget -q -O - http://front/page 2>/dev/null; do sleep 0.5; done"
    cluster.apply(pod("client", fetch), namespace="default")
    assert output_of(cluster, "client", "default") == "served\n"


def test_a_folder_that_is_no_unpacked_archive_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match="not an unpacked archive"):
        unpacked(tmp_path)


def _files_of(packages: set[str]) -> list[str]:
    """Programs and libraries of Debian packages, without what is a link."""
    listed = subprocess.run(
        ["dpkg", "--listfiles", *sorted(packages)], capture_output=True, text=True, check=False
    ).stdout
    paths = [Path(line) for line in listed.splitlines() if line.startswith("/")]
    return [
        str(path)
        for path in paths
        if path.is_file() and not path.is_symlink() and {"bin", "sbin", "lib"} & set(path.parts)
    ]
