"""What the chart renders, what it tells to apply, and the examples: the cluster takes it all."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import yaml

from tests.cluster.client import Cluster
from tests.cluster.layout import REPOSITORY
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
        {"kernelCache": {"create": True}, "progress": {"enabled": False}},
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
        *("template", RELEASE, CHART, f"--namespace={namespace}"),
        *(f"--set-json={key}={json.dumps(value)}" for key, value in given.items()),
    )
    applied = cluster.kubectl(
        *(*STRICTLY, "--force-conflicts", "--filename=-"),
        stdin=rendered,
    )
    assert f"deployment.apps/{RELEASE} serverside-applied" in applied


@pytest.mark.parametrize("example", ["pvc.yaml", "s3.yaml"])
def test_an_example_is_accepted(
    operator: Operator, cluster: Cluster, namespace: str, example: str
) -> None:
    path = REPOSITORY / "deploy" / "examples" / example
    applied = cluster.kubectl(
        *(*STRICTLY, f"--namespace={namespace}", f"--filename={path}"),
    )
    assert "splattraining.splatting.dev" in applied
