"""Helm works on the cluster as people use it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cluster.client import Cluster

pytestmark = pytest.mark.cluster

CHART = str(Path(__file__).parent / "fixtures" / "charts" / "tiny")


def test_a_chart_is_installed_upgraded_and_removed(cluster: Cluster, namespace: str) -> None:
    scope = f"--namespace={namespace}"

    cluster.helm("install", "release", CHART, scope, "--wait")
    assert _greeting(cluster, namespace) == "hello"

    cluster.helm("upgrade", "release", CHART, scope, "--set=greeting=good day", "--wait")
    assert _greeting(cluster, namespace) == "good day"

    cluster.helm("uninstall", "release", scope, "--wait")
    assert _greeting(cluster, namespace) is None


def _greeting(cluster: Cluster, namespace: str) -> str | None:
    found = cluster.get("configmap", "release-greeting", namespace)
    return found["data"]["greeting"] if found else None
