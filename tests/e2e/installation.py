"""The operator as a test installs it: the chart, with images built here."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tests.cluster.client import Cluster
from tests.cluster.images import BuiltImage
from tests.cluster.layout import REPOSITORY
from tests.e2e.restricted import restricted_namespace

CHART = str(REPOSITORY / "charts" / "splat-operator")
PREVIOUS_CHART = str(REPOSITORY / "tests" / "e2e" / "charts" / "splat-operator-0.1.0.tgz")
"""The chart's version before, as `helm package` made it."""
RELEASE = "splat-operator"


@dataclass(frozen=True)
class Images:
    """The project's own images, which the cluster has."""

    operator: BuiltImage
    trainer: BuiltImage

    @property
    def values(self) -> dict[str, Any]:
        """The chart's values that name them."""
        return {
            "image": _repository_and_tag(self.operator.reference),
            "trainer": {"image": _repository_and_tag(self.trainer.reference)},
        }


@dataclass(frozen=True)
class Operator:
    """A release of the chart."""

    cluster: Cluster
    namespace: str
    images: Images

    def helm(self, command: str, *options: str, chart: str = CHART, **values: Any) -> str:
        """Run `helm install` or `helm upgrade` with these values, and wait until it is ready.

        The definition of the resource outlives a release, so the next one takes it over.
        """
        given = [
            f"--set-json={key}={json.dumps(value)}"
            for key, value in {**self.images.values, **values}.items()
        ]
        return self.cluster.helm(
            *(command, RELEASE, chart, f"--namespace={self.namespace}", "--take-ownership"),
            *("--wait", "--timeout=120s", *given, *options),
        )

    def uninstall(self) -> str:
        """Remove the release."""
        return self.cluster.helm("uninstall", RELEASE, f"--namespace={self.namespace}", "--wait")

    def log(self) -> str:
        """Give what the replicas wrote, for a failure's message."""
        return self.cluster.try_kubectl(
            *("logs", f"--namespace={self.namespace}", "--prefix", "--tail=40"),
            "--selector=app.kubernetes.io/name=splat-operator",
        ).stdout


@contextmanager
def installed(cluster: Cluster, images: Images) -> Iterator[Operator]:
    """Install the release into a restricted namespace of its own; it goes with the block.

    The cluster has the images.
    """
    with restricted_namespace(cluster, "operator") as name:
        operator = Operator(cluster, name, images)
        operator.helm("install")
        yield operator
        operator.uninstall()


def _repository_and_tag(reference: str) -> dict[str, str]:
    repository, _, tag = reference.rpartition(":")
    return {"repository": repository, "tag": tag}
