"""Tests touch no cluster that someone may need."""

from __future__ import annotations

import pytest

from tests.cluster.guard import refusal


@pytest.mark.parametrize(
    ("context", "server"),
    [
        ("kind-kind", "https://127.0.0.1:45123"),
        ("minikube", "https://192.168.49.2:8443"),
        ("k3d-mine", "https://0.0.0.0:6550"),
        ("splat-dev", "https://127.0.0.1:6443"),
        ("docker-desktop", "https://kubernetes.docker.internal:6443"),
        ("my-lab", "https://10.1.2.3:6443"),
        ("delivery", "https://localhost:6443"),
    ],
)
def test_a_throw_away_or_private_cluster_may_be_used(context: str, server: str) -> None:
    assert refusal(context, server) is None


@pytest.mark.parametrize(
    ("context", "server", "why"),
    [
        ("prod", "https://10.0.0.1:6443", "production"),
        ("eu-live-1", "https://10.0.0.1:6443", "production"),
        ("team@PRODUCTION", "https://10.0.0.1", "production"),
        ("mine", "https://api.prod.internal:6443", "production"),
        ("gke_project_zone_name", "https://10.0.0.1", "cloud"),
        ("arn:aws:eks:eu-west-1:1234:cluster/x", "https://10.0.0.1", "cloud"),
        ("mine", "https://ABC.gr7.eu-west-1.eks.amazonaws.com", "cloud"),
        ("mine", "https://x.hcp.westeurope.azmk8s.io:443", "cloud"),
        ("mine", "https://8.8.8.8:6443", "neither on this machine"),
        ("mine", "https://kubernetes.example.com:6443", "neither on this machine"),
        ("mine", "", "neither on this machine"),
        ("kindly-prod", "https://10.0.0.1:6443", "production"),
        ("splat-prod", "https://10.0.0.1:6443", "production"),
        ("splat-gpus", "https://ABC.gr7.eu-west-1.eks.amazonaws.com", "cloud"),
        ("kind-kind", "https://8.8.8.8:6443", "neither on this machine"),
    ],
)
def test_what_looks_like_production_or_lies_elsewhere_is_refused(
    context: str, server: str, why: str
) -> None:
    reason = refusal(context, server)

    assert reason is not None
    assert why in reason
