"""The project's images in the cluster, and the operator installed from the chart."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cluster.client import Cluster
from tests.cluster.images import (
    BuiltImage,
    build_operator_image,
    build_s3_server_image,
    build_trainer_image,
)
from tests.e2e.installation import Images, Operator
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


@pytest.fixture(scope="module")
def operator_namespace(cluster: Cluster) -> Iterator[str]:
    """A restricted namespace to install the operator into, for the tests of one module."""
    with restricted_namespace(cluster, "operator") as name:
        yield name


@pytest.fixture(scope="module")
def operator(cluster: Cluster, images: Images, operator_namespace: str) -> Iterator[Operator]:
    """The operator, serving every namespace; one module at a time, as it acts on all of them."""
    operator = Operator(cluster, operator_namespace, images)
    operator.helm("install")
    yield operator
    operator.uninstall()


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
