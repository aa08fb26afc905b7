"""What the chart renders, what it tells to apply, and the examples: the cluster takes it all."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.cluster.client import Cluster
from tests.cluster.layout import REPOSITORY
from tests.cluster.waiting import wait_for
from tests.e2e.installation import CHART, RELEASE, Operator

pytestmark = pytest.mark.cluster

STRICTLY = ("apply", "--server-side", "--dry-run=server", "--validate=strict")
"""A field that the API server does not know is an error."""


def test_the_notes_tell_a_manifest_that_the_cluster_takes(
    operator: Operator, cluster: Cluster, namespace: str
) -> None:
    notes = cluster.helm("get", "notes", RELEASE, f"--namespace={operator.namespace}")
    manifest = re.search(r"<<EOF\n(.*?)\n *EOF", notes, re.DOTALL)
    assert manifest is not None, notes
    cluster.kubectl(
        *(*STRICTLY, f"--namespace={namespace}", "--filename=-"),
        stdin=json.dumps(yaml.safe_load(manifest[1])),
    )
    assert f"rollout status deployment/{RELEASE}" in notes


@pytest.mark.parametrize(
    "values",
    [
        {},
        {
            "replicaCount": 1,
            "leaderElection": {"enabled": False},
            "networkPolicy": {"enabled": True},
        },
        {
            "kernelCache": {"create": True},
            "progress": {"enabled": False},
            "metrics": {"dashboard": {"enabled": True}},
        },
        {
            "topologySpreadConstraints": [
                {
                    "maxSkew": 1,
                    "topologyKey": "kubernetes.io/hostname",
                    "whenUnsatisfiable": "ScheduleAnyway",
                }
            ],
            "tolerations": [{"operator": "Exists"}],
            "nodeSelector": {"kubernetes.io/os": "linux"},
            "env": [{"name": "A", "value": "b"}],
            "networkPolicy": {"enabled": True, "metricsFrom": [{"podSelector": {}}]},
        },
    ],
    ids=["defaults", "one replica", "kernel cache", "placement"],
)
def test_the_api_server_accepts_what_is_rendered(
    cluster: Cluster, namespace: str, values: dict[str, Any]
) -> None:
    given = {**values, "namespaces": [namespace]}
    rendered = cluster.helm(
        *("template", RELEASE, CHART, f"--namespace={namespace}", "--no-hooks"),
        *(f"--set-json={key}={json.dumps(value)}" for key, value in given.items()),
    )
    applied = cluster.kubectl(
        *(*STRICTLY, "--force-conflicts", "--filename=-"),
        stdin=rendered,
    )
    assert f"deployment.apps/{RELEASE} serverside-applied" in applied


KUEUES_OWN = "kueue-quota.yaml"
"""Objects that only Kueue defines: where it is installed, tests/kueue sees that it takes them."""


def trainings_told_of() -> Iterator[tuple[str, str]]:
    """Every SplatTraining of the examples and the documentation, with the file it is in."""
    for path in sorted((REPOSITORY / "deploy" / "examples").glob("*.yaml")):
        if path.name != KUEUES_OWN:
            yield path.name, path.read_text()
    for path in [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]:
        for block in re.findall(r"^```yaml\n(.*?)^```", path.read_text(), re.DOTALL | re.MULTILINE):
            if "kind: SplatTraining" in block:
                yield path.name, block


@pytest.mark.parametrize(
    ("file", "text"), [pytest.param(*told, id=told[0]) for told in trainings_told_of()]
)
def test_an_example_is_accepted(
    operator: Operator, cluster: Cluster, namespace: str, file: str, text: str
) -> None:
    cluster.kubectl(*STRICTLY, f"--namespace={namespace}", "--filename=-", stdin=text)


def test_helm_test_trains_a_splat_and_leaves_nothing(operator: Operator, cluster: Cluster) -> None:
    said = cluster.helm("test", RELEASE, f"--namespace={operator.namespace}", "--timeout=240s")
    phases = re.findall(r"^Phase: +(\w+)", said, re.MULTILINE)
    assert phases, said
    assert set(phases) == {"Succeeded"}, said
    for kind in ("pods", "splattrainings", "serviceaccounts", "roles", "rolebindings"):
        names = [o["metadata"]["name"] for o in cluster.list(kind, operator.namespace)]
        assert not [name for name in names if "test" in name], kind
    wait_for(
        "the test's claim to be gone",
        lambda: cluster.list("persistentvolumeclaims", operator.namespace),
        until=lambda claims: not claims,
    )
