"""Which clusters the tests may touch when someone points at one with --cluster-context."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

# Contexts that the tools for throw-away clusters name so, which can load images into them.
FOR_TESTS = re.compile(r"(kind|minikube|k3d|splat)([-_].*)?")
IN_EARNEST = {"prod", "production", "prd", "live"}
HOSTED = {"eks", "gke", "aks"}


def refusal(context: str, server: str) -> str | None:
    """Why the tests must not run against this context; None if they may.

    It must neither look like production or a cloud's, nor have its API server outside loopback
    and private networks. No name is trusted: a real cluster may be called splat-something, too.
    """
    host = urlsplit(server).hostname or ""
    words = set(re.split(r"[^a-z0-9]+", f"{context} {host}".lower()))
    if found := sorted(words & IN_EARNEST):
        return f"context {context!r} ({server}) looks like production: {', '.join(found)}"
    if found := sorted(words & HOSTED) or re.findall(r"azmk8s\.io|amazonaws\.com", host):
        return f"context {context!r} ({server}) looks like a cloud's cluster: {', '.join(found)}"
    if not _near(host):
        return (
            f"context {context!r}: its API server {server} is neither on this machine nor at an "
            "address of a private network"
        )
    return None


def _near(host: str) -> bool:
    if host == "localhost" or host.endswith((".localhost", ".docker.internal")):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False  # A name may lead anywhere.
    return address.is_loopback or address.is_private
