"""The project's images in the cluster, and the operator installed from the chart."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.cluster.client import Cluster
from tests.cluster.images import (
    BuiltImage,
    build_operator_image,
    build_s3_server_image,
    build_trainer_image,
)
from tests.e2e.installation import Images, Operator, installed
from tests.e2e.restricted import restricted_namespace
from tests.e2e.trainings import Namespace, own_namespace


def _loaded(cluster: Cluster, image: BuiltImage) -> BuiltImage:
    cluster.load_image(image.archive)
    return image


@pytest.fixture(scope="session")
def images(cluster: Cluster) -> Images:
    """The operator's and the trainer's image, built and loaded."""
    return Images(
        operator=_loaded(cluster, build_operator_image()),
        trainer=_loaded(cluster, build_trainer_image("cpu")),
    )


@pytest.fixture(scope="session")
def s3_server_image(cluster: Cluster) -> str:
    """The name of the S3 server's image, built and loaded."""
    return _loaded(cluster, build_s3_server_image()).reference


class _Installation:
    """The operator as modules share it, until one wants a cluster that has none."""

    def __init__(self, cluster: Cluster, images: Images) -> None:
        self._cluster, self._images = cluster, images
        self._installed = ExitStack()
        self._operator: Operator | None = None

    def operator(self) -> Operator:
        """Give the release, which serves every namespace; install it where there is none."""
        if self._operator is None:
            release = installed(self._cluster, self._images)
            self._operator = self._installed.enter_context(release)
        return self._operator

    def remove(self) -> None:
        self._operator = None
        self._installed.close()


@pytest.fixture(scope="session")
def installation(cluster: Cluster, images: Images) -> Iterator[_Installation]:
    """Where the shared operator is; at most one operator acts on a cluster at a time."""
    installation = _Installation(cluster, images)
    yield installation
    installation.remove()


@pytest.fixture(scope="module")
def operator(installation: _Installation) -> Operator:
    """The operator, serving every namespace."""
    return installation.operator()


@pytest.fixture(scope="module")
def operator_namespace(cluster: Cluster, installation: _Installation) -> Iterator[str]:
    """A restricted namespace to install an operator into, where no other acts."""
    installation.remove()
    with restricted_namespace(cluster, "operator") as name:
        yield name


@pytest.fixture
def trainings(operator: Operator) -> Iterator[Namespace]:
    """A restricted namespace of the test's own, whose SplatTrainings the operator serves."""
    with own_namespace(operator) as namespace:
        yield namespace


@pytest.fixture(scope="module")
def shared_trainings(operator: Operator) -> Iterator[Namespace]:
    """One such namespace for all tests of a module, for trainings that may run side by side."""
    with own_namespace(operator) as namespace:
        yield namespace
