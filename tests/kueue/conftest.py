"""Kueue itself, built from its source and installed from its chart, beside the operator."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.archive import write_image
from tests.cluster.client import Cluster
from tests.cluster.go_module import built_program, module_folder
from tests.cluster.images import build_operator_image, build_trainer_image
from tests.e2e.installation import Images, Operator, installed
from tests.e2e.trainings import Namespace, own_namespace
from tests.kueue.queues import QUEUE, cluster_queue, flavor, local_queue, priority_class

_GO = Path(__file__).parent / "go"
_MODULE = "sigs.k8s.io/kueue"
_IMAGE, _TAG = "splat.test/kueue", "built"
_RELEASE, _NAMESPACE = "kueue", "kueue-system"


@pytest.fixture(scope="session")
def kueue(cluster: Cluster) -> Iterator[None]:
    """Kueue's manager with its webhooks, as its own chart installs it."""
    program = built_program(_GO, f"{_MODULE}/cmd/kueue")
    with tempfile.TemporaryDirectory() as scratch:
        archive = Path(scratch) / "kueue.tar"
        write_image(archive, f"{_IMAGE}:{_TAG}", {"/manager": program})
        cluster.load_image(archive)
    manager = {
        "image": {"repository": _IMAGE, "tag": _TAG, "pullPolicy": "IfNotPresent"},
        "resources": {"requests": {"cpu": "50m", "memory": "128Mi"}},
    }
    cluster.helm(
        *("install", _RELEASE, str(module_folder(_GO, _MODULE) / "charts" / "kueue")),
        *(f"--namespace={_NAMESPACE}", "--create-namespace", "--wait", "--timeout=180s"),
        f"--set-json=controllerManager.manager={json.dumps(manager)}",
    )
    yield
    cluster.helm("uninstall", _RELEASE, f"--namespace={_NAMESPACE}", "--wait")
    cluster.kubectl("delete", "namespace", _NAMESPACE, "--wait=false")


@pytest.fixture(scope="session")
def operator(cluster: Cluster) -> Iterator[Operator]:
    """The operator, from the chart."""
    images = Images(operator=build_operator_image(), trainer=build_trainer_image("cpu"))
    for image in (images.operator, images.trainer):
        cluster.load_image(image.archive)
    with installed(cluster, images) as operator:
        yield operator


@pytest.fixture(scope="session")
def queue(kueue: None, operator: Operator) -> Iterator[Namespace]:
    """A namespace with a capture and a queue, whose quota is that of one training."""
    cluster = operator.cluster
    for priority in ("low", "high"):
        cluster.apply(priority_class(priority), namespace="default")
    with own_namespace(operator) as namespace:
        namespace.make_capture()
        cluster.apply(flavor(), cluster_queue(), namespace="default")
        namespace.apply(local_queue())
        cluster.kubectl(
            *("wait", "--for=condition=Active", f"localqueue/{QUEUE}", "--timeout=60s"),
            f"--namespace={namespace.name}",
        )
        yield namespace
    for made in (
        ("clusterqueue", "all"),
        ("resourceflavor", "cpus"),
        ("priorityclass", "low", "high"),
    ):
        cluster.kubectl("delete", *made, "--timeout=60s")


@pytest.fixture
def team(queue: Namespace) -> Iterator[Namespace]:
    """The same, with its whole quota free for the next test."""
    yield queue
    queue.cluster.kubectl("delete", "splattrainings", "--all", f"--namespace={queue.name}")
