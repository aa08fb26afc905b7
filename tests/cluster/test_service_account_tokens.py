"""Pods reach the API server by name, with tokens that live and die with them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.cluster.client import Cluster
from tests.cluster.looking import output_of, wait_for_phase
from tests.cluster.manifests import pod
from tests.cluster.waiting import wait_for

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("busybox_image")]

TOKEN = "/var/run/secrets/kubernetes.io/serviceaccount/token"  # noqa: S105
WHO_AM_I = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}


def test_a_pod_reaches_the_api_by_its_service_name_and_is_known_as_that_pod(
    cluster: Cluster, namespace: str
) -> None:
    script = (
        f'wget -q -O - --header "Authorization: Bearer $(cat {TOKEN})"'
        ' --header "Content-Type: application/json"'
        f" --post-data '{json.dumps(WHO_AM_I)}' --no-check-certificate"
        " https://kubernetes.default.svc/apis/authentication.k8s.io/v1/selfsubjectreviews"
    )
    cluster.apply(pod("asker", script), namespace=namespace)

    answer = json.loads(output_of(cluster, "asker", namespace))

    user = answer["status"]["userInfo"]
    assert user["username"] == f"system:serviceaccount:{namespace}:default"
    assert user["extra"]["authentication.kubernetes.io/pod-name"] == ["asker"]


def test_a_token_is_worthless_once_its_pod_is_gone(cluster: Cluster, namespace: str) -> None:
    cluster.apply(pod("holder", "sleep 600"), namespace=namespace)
    wait_for_phase(cluster, "holder", namespace, "Running")
    scope = f"--namespace={namespace}"
    token = cluster.kubectl("exec", "holder", scope, "--", "cat", TOKEN)
    assert _review(cluster, token)["authenticated"] is True

    cluster.kubectl("delete", "pod", "holder", "--now", scope)

    # The API server remembers a good token for 10 s.
    wait_for(
        "the token of a deleted pod to be refused",
        lambda: _review(cluster, token).get("authenticated", False),
        until=lambda authenticated: not authenticated,
    )


def test_a_name_that_does_not_exist_is_answered_at_once(cluster: Cluster, namespace: str) -> None:
    script = "nslookup no-such-service.example.com || true"
    cluster.apply(pod("lost", script), namespace=namespace)

    assert "NXDOMAIN" in output_of(cluster, "lost", namespace)


def _review(cluster: Cluster, token: str) -> dict[str, Any]:
    review = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenReview",
        "spec": {"token": token},
    }
    answer = cluster.kubectl("create", "--output=json", "--filename=-", stdin=json.dumps(review))
    status: dict[str, Any] = json.loads(answer)["status"]
    return status
