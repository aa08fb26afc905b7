"""Options and fixtures for every test that needs a cluster."""

from __future__ import annotations

import json
import logging
import os
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests.cluster import client, lifecycle
from tests.cluster.busybox import IMAGE, write_busybox_image
from tests.cluster.client import Cluster
from tests.cluster.errors import ClusterError
from tests.cluster.layout import Layout
from tests.cluster.locks import Lock
from tests.cluster.processes import supervisor_pid

# As the trainer's command line does, and before torch is imported: threads that spin while
# they wait take eight times as long on a machine that does something else beside.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# How long an example takes says more of what else runs on the machine than of the code.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("cluster")
    group.addoption(
        "--cluster-context",
        metavar="NAME",
        help="run the cluster tests against this context of your kubeconfig",
    )
    group.addoption(
        "--cluster-name",
        metavar="NAME",
        default="test",
        help="run them on the project's own cluster of this name, started if it is not up",
    )
    group.addoption(
        "--keep-cluster", action="store_true", help="leave a cluster up that the tests started"
    )


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Which tests run in one process where several run.

    Of the operator one acts on a cluster at a time, so all tests that install it stay together;
    the others on clusters stay together by their modules, as what those need is made once.
    """
    from xdist.scheduler import LoadScopeScheduling

    class ByWhatActsOnTheCluster(LoadScopeScheduling):  # type: ignore[misc] # xdist is untyped
        def _split_scope(self, nodeid: str) -> str:
            module = nodeid.partition("::")[0]
            if module.startswith(("tests/e2e/test_operator_", "tests/e2e/test_chart_")):
                return "operator"
            return module if module.startswith(("tests/e2e/", "tests/cluster/")) else nodeid

    return ByWhatActsOnTheCluster(config, log)


@pytest.fixture(autouse=True)
def _log_levels_stay_a_tests_own() -> Iterator[None]:
    """A command that a test runs in this process sets how much the program logs."""
    logger = logging.getLogger("splat_trainer")
    level = logger.level
    yield
    logger.setLevel(level)


@pytest.fixture(scope="session")
def cluster(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cluster]:
    """The cluster that the tests run on: the user's choice, or the project's own."""
    context = request.config.getoption("--cluster-context")
    if context:
        try:
            pointed_at = client.pointed_at(context, tmp_path_factory.mktemp("kubeconfig"))
        except ClusterError as error:
            pytest.exit(str(error), returncode=pytest.ExitCode.USAGE_ERROR)
        yield pointed_at
        return
    if os.geteuid() != 0:
        pytest.skip("the project's own cluster needs root; --cluster-context takes another")
    layout = Layout.of(request.config.getoption("--cluster-name"))
    yield from _own_cluster(layout, keep=request.config.getoption("--keep-cluster"))


def _own_cluster(layout: Layout, keep: bool) -> Iterator[Cluster]:
    """The project's cluster; the last session that uses one that tests started ends it."""
    started_by_tests = layout.root / "started-by-tests"
    users = Lock(layout.users, shared=True)
    was_up = supervisor_pid(layout) is not None
    lifecycle.up(layout.name)
    if not was_up:
        started_by_tests.touch()
    yield client.own(layout)
    _leave(layout, users, keep)


def _leave(layout: Layout, users: Lock, keep: bool) -> None:
    last = users.only_holder()
    if last and (layout.root / "started-by-tests").exists() and not keep:
        lifecycle.down(layout.name)
    users.release(remove=last)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Where several processes ran and were interrupted, none of them has ended the cluster."""
    if hasattr(config, "workerinput") or config.getoption("--cluster-context") or os.geteuid() != 0:
        return
    layout = Layout.of(config.getoption("--cluster-name"))
    if (layout.root / "started-by-tests").exists():
        _leave(layout, Lock(layout.users, shared=True), config.getoption("--keep-cluster"))


NewNamespace = Callable[[Mapping[str, str]], str]


@pytest.fixture
def new_namespace(cluster: Cluster) -> Iterator[NewNamespace]:
    """Makes namespaces with the labels that are given; their pods are gone after the test."""
    made: list[str] = []

    def make(labels: Mapping[str, str]) -> str:
        name = f"test-{uuid.uuid4().hex[:10]}"
        document = {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": name, "labels": dict(labels)},
        }
        cluster.kubectl("create", "--filename=-", stdin=json.dumps(document))
        made.append(name)
        return name

    yield make
    for name in made:
        cluster.kubectl("delete", "namespace", name, "--wait=false", "--ignore-not-found")
        # Not for the next test to find GPUs taken by a pod that has 30 s to say goodbye.
        pods = ("pods", "--all", "--grace-period=1", "--timeout=60s", "--ignore-not-found")
        cluster.kubectl("delete", *pods, f"--namespace={name}")


@pytest.fixture
def namespace(new_namespace: NewNamespace) -> str:
    """The name of a namespace of the test's own."""
    return new_namespace({})


@pytest.fixture(scope="session")
def busybox_image(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The name of a small image with a shell, which the cluster has."""
    archive: Path = tmp_path_factory.mktemp("images") / "busybox.tar"
    write_busybox_image(archive)
    cluster.load_image(archive)
    return IMAGE
