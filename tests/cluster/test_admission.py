"""The API server refuses what schemas, policies and missing owners forbid."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.client import Cluster
from tests.cluster.errors import ClusterError
from tests.cluster.manifests import config_map, pod
from tests.cluster.waiting import wait_for
from tests.conftest import NewNamespace

pytestmark = pytest.mark.cluster

WIDGETS = Path(__file__).parent / "fixtures" / "widgets.yaml"


@pytest.fixture
def widgets(cluster: Cluster) -> Iterator[None]:
    cluster.kubectl("apply", "--server-side", f"--filename={WIDGETS}")
    cluster.kubectl("wait", "--for=condition=Established", f"--filename={WIDGETS}")
    yield
    cluster.kubectl("delete", f"--filename={WIDGETS}", "--ignore-not-found")


def _widget(low: int, high: int) -> dict[str, object]:
    return {
        "apiVersion": "test.splatting.dev/v1",
        "kind": "Widget",
        "metadata": {"name": "widget"},
        "spec": {"low": low, "high": high},
    }


@pytest.mark.usefixtures("widgets")
def test_a_rule_in_cel_refuses_an_object_with_its_own_words(
    cluster: Cluster, namespace: str
) -> None:
    with pytest.raises(ClusterError, match="low must not be above high"):
        cluster.apply(_widget(low=3, high=2), namespace=namespace)

    cluster.apply(_widget(low=2, high=3), namespace=namespace)


def test_a_restricted_namespace_refuses_a_pod_that_may_be_root(
    cluster: Cluster, new_namespace: NewNamespace
) -> None:
    restricted = new_namespace({"pod-security.kubernetes.io/enforce": "restricted"})

    with pytest.raises(ClusterError, match='violates PodSecurity "restricted'):
        cluster.apply(pod("careless", "true"), namespace=restricted)


def test_what_is_owned_is_collected_with_its_owner(cluster: Cluster, namespace: str) -> None:
    cluster.apply(config_map("owner"), namespace=namespace)
    owner = cluster.get("configmap", "owner", namespace)
    assert owner is not None
    reference = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "name": "owner",
        "uid": owner["metadata"]["uid"],
    }
    owned = config_map("owned", ownerReferences=[reference])
    cluster.apply(owned, config_map("free"), namespace=namespace)

    cluster.kubectl("delete", "configmap", "owner", f"--namespace={namespace}")

    wait_for(
        "the owned object to be collected",
        lambda: cluster.get("configmap", "owned", namespace),
        until=lambda found: found is None,
    )
    assert cluster.get("configmap", "free", namespace) is not None


def test_a_service_account_may_do_nothing_that_no_role_allows(
    cluster: Cluster, namespace: str
) -> None:
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {
            "user": f"system:serviceaccount:{namespace}:default",
            "resourceAttributes": {"verb": "list", "resource": "secrets", "namespace": namespace},
        },
    }

    answer = cluster.kubectl("create", "--output=json", "--filename=-", stdin=json.dumps(review))

    assert json.loads(answer)["status"]["allowed"] is False
