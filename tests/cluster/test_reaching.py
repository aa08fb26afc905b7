"""The machine reaches what runs in the cluster: logs, exec, and ports."""

from __future__ import annotations

import urllib.request

import pytest

from tests.cluster.client import Cluster
from tests.cluster.looking import wait_for_phase
from tests.cluster.manifests import pod

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("busybox_image")]


def _service(name: str, app: str) -> dict[str, object]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"selector": {"app": app}, "ports": [{"port": 80, "targetPort": 8080}]},
    }


def test_a_service_is_reached_from_the_machine_and_from_a_pod(
    cluster: Cluster, namespace: str
) -> None:
    script = "echo served > /tmp/page; exec httpd -f -p 8080 -h /tmp"
    cluster.apply(pod("web", script), _service("front", app="web"), namespace=namespace)
    wait_for_phase(cluster, "web", namespace, "Running")

    with (
        cluster.forwarded("svc/front", 80, namespace) as address,
        urllib.request.urlopen(f"http://{address}/page", timeout=10) as response,
    ):
        assert response.read() == b"served\n"

    # Also the way back to itself through its own Service, which needs hairpin mode.
    fetch = ("wget", "-q", "-O", "-", "http://front/page")
    assert cluster.kubectl("exec", "web", f"--namespace={namespace}", "--", *fetch) == "served\n"
