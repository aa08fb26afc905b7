"""A cluster starts once, runs beside another, names what died in it, and leaves nothing."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cluster import api, client, lifecycle
from tests.cluster.busybox import write_busybox_image
from tests.cluster.cgroups import remaining
from tests.cluster.cli import main
from tests.cluster.errors import ClusterError
from tests.cluster.layout import REPOSITORY, Layout
from tests.cluster.leftovers import belongings, left_of, network
from tests.cluster.looking import wait_for_phase
from tests.cluster.manifests import config_map, pod
from tests.cluster.processes import inside, supervisor_pid
from tests.cluster.supervisor import read_status
from tests.cluster.waiting import wait_for

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(os.geteuid() != 0, reason="making a cluster needs root"),
    pytest.mark.skipif(
        "config.getoption('--cluster-context')",
        reason="only the project's own clusters are started and ended",
    ),
]

Named = Callable[[], str]


@pytest.fixture(scope="module")
def names() -> Iterator[Named]:
    """Names for clusters; all of them are taken down at the end, whatever happened."""
    given: list[str] = []

    def name() -> str:
        given.append(f"t-{uuid.uuid4().hex[:8]}")
        return given[-1]

    yield name
    for each in given:
        lifecycle.down(each)


@pytest.fixture(scope="module")
def running(names: Named) -> Layout:
    """A cluster that the tests of this file share; none of them ends it."""
    return lifecycle.up(names())


def test_up_twice_leaves_the_cluster_as_it_is(running: Layout) -> None:
    before = supervisor_pid(running)
    client.own(running).apply(config_map("kept"), namespace="default")

    lifecycle.up(running.name)

    assert supervisor_pid(running) == before
    assert client.own(running).get("configmap", "kept", "default") is not None


def test_up_with_another_number_of_gpus_than_the_running_cluster_is_refused(
    running: Layout,
) -> None:
    with pytest.raises(ClusterError, match=r"runs with 2 GPUs, not 5: .*down"):
        lifecycle.up(running.name, gpus=5)


def test_secrets_are_readable_by_their_owner_alone(running: Layout) -> None:
    secret = [running.kubeconfig, *running.certificates.glob("*.key")]
    secret += running.configuration.glob("*.kubeconfig")

    assert len(secret) > 10
    assert {oct(stat.S_IMODE(path.stat().st_mode)) for path in secret} == {"0o600"}


def test_on_the_machine_only_loopback_listens(running: Layout) -> None:
    descriptors = Path(f"/proc/{supervisor_pid(running)}/fd").iterdir()
    links = {str(path.readlink()) for path in descriptors if path.is_symlink()}
    listening = [
        fields[1]
        for table in ("tcp", "tcp6", "udp", "udp6")
        for fields in map(str.split, Path("/proc/net", table).read_text().splitlines()[1:])
        if f"socket:[{fields[9]}]" in links and fields[3] in ("0A", "07")
    ]

    # /proc/net/tcp writes 127.0.0.1 as the machine keeps it, in hexadecimal.
    assert listening == [f"0100007F:{api.port_of(running):04X}"]


def test_two_clusters_run_side_by_side_and_one_may_end(
    running: Layout, names: Named, tmp_path: Path
) -> None:
    write_busybox_image(tmp_path / "busybox.tar")
    other = lifecycle.up(names())
    for layout in (running, other):
        cluster = client.own(layout)
        cluster.load_image(tmp_path / "busybox.tar")
        cluster.apply(pod("stays", "sleep 600"), config_map(layout.name), namespace="default")
        wait_for_phase(cluster, "stays", "default", "Running")
    assert client.own(running).get("configmap", other.name, "default") is None

    lifecycle.down(other.name)

    assert remaining(running.cgroup)
    fetched = client.own(running).kubectl("exec", "stays", "--", "echo", "still here")
    assert fetched == "still here\n"


@pytest.mark.parametrize("killed", ["supervisor", "outer process"])
def test_nothing_is_left_after_a_sigkill_and_down(
    names: Named, tmp_path: Path, killed: str
) -> None:
    before = network()
    layout = lifecycle.up(names())
    write_busybox_image(tmp_path / "busybox.tar")
    cluster = client.own(layout)
    cluster.load_image(tmp_path / "busybox.tar")
    cluster.apply(pod("stays", "sleep 600"), namespace="default")
    wait_for_phase(cluster, "stays", "default", "Running")
    had = belongings(layout, before)
    assert len(had.processes) > 10
    supervisor = supervisor_pid(layout)
    assert supervisor is not None

    os.kill(supervisor if killed == "supervisor" else _parent(supervisor), signal.SIGKILL)
    wait_for("the supervisor to end", lambda: supervisor_pid(layout) is None, timeout=20)
    lifecycle.down(layout.name)

    assert left_of(had) == []


def test_nothing_is_left_when_up_itself_was_killed(names: Named) -> None:
    before = network()
    layout = Layout.of(names())
    starter = subprocess.Popen(
        [sys.executable, "-m", "tests.cluster", "up", f"--name={layout.name}"],
        cwd=REPOSITORY,
        stderr=subprocess.DEVNULL,
    )
    wait_for(
        "the API server to run",
        lambda: read_status(layout).get("kube-apiserver"),
        until=lambda seen: seen is not None and seen.state != "waiting",
    )
    had = belongings(layout, before)

    starter.kill()
    starter.wait()
    lifecycle.down(layout.name)

    assert left_of(had) == []


def test_down_where_nothing_is_up_is_harmless(names: Named) -> None:
    assert main(["down", f"--name={names()}"]) == 0


def test_what_died_is_named_with_the_end_of_its_log(
    names: Named, capsys: pytest.CaptureFixture[str]
) -> None:
    layout = lifecycle.up(names())
    assert main(["status", f"--name={layout.name}"]) == 0
    scheduler = read_status(layout)["kube-scheduler"]
    last_line = "the last words of the scheduler"
    with (layout.logs / "kube-scheduler.log").open("a") as log:
        log.write(f"{last_line}\n")

    subprocess.run(inside(layout, ["kill", "-KILL", str(scheduler.pid)]), check=True)
    wait_for(
        "the supervisor to notice",
        lambda: read_status(layout)["kube-scheduler"].state,
        until=lambda state: state == "ended",
    )

    capsys.readouterr()
    assert main(["status", f"--name={layout.name}"]) == 1
    told = capsys.readouterr().out
    assert "kube-scheduler ended with signal SIGKILL" in told
    assert last_line in told
    with pytest.raises(ClusterError, match="kube-scheduler ended with signal SIGKILL"):
        lifecycle.up(layout.name)


def test_status_of_a_cluster_that_is_not_up_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", "--name=never-was"]) == 3
    assert capsys.readouterr().out == "cluster 'never-was' is not up\n"


def test_the_kubeconfig_is_json_that_names_this_cluster(running: Layout) -> None:
    document = json.loads(running.kubeconfig.read_text())

    assert document["current-context"] == f"splat-{running.name}"
    assert document["clusters"][0]["cluster"]["server"].startswith("https://127.0.0.1:")


def _parent(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("PPid:"))
