"""The operator, and a trainer's image with gsplat's sources and nvcc, on the tests' cluster."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cluster.client import Cluster
from tests.cluster.images import build_operator_image, build_trainer_image
from tests.e2e.installation import Images, Operator, installed
from tests.e2e.trainings import Namespace, own_namespace


@pytest.fixture(scope="session")
def operator(cluster: Cluster) -> Iterator[Operator]:
    """The operator; whose trainings run an image that can compile the real kernels."""
    images = Images(operator=build_operator_image(), trainer=build_trainer_image("cuda-jit"))
    for image in (images.operator, images.trainer):
        cluster.load_image(image.archive)
    with installed(cluster, images) as operator:
        yield operator


@pytest.fixture(scope="session")
def fleet(operator: Operator) -> Iterator[Namespace]:
    """The namespace of the trainings, with a small capture on a claim."""
    with own_namespace(operator) as namespace:
        namespace.make_capture()
        yield namespace


@pytest.fixture(scope="session")
def neighbour(operator: Operator) -> Iterator[Namespace]:
    """Another namespace."""
    with own_namespace(operator) as namespace:
        namespace.make_capture()
        yield namespace
