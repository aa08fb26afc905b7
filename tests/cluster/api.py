"""A few questions to the API server from this machine, with the standard library alone."""

from __future__ import annotations

import http.client
import json
import ssl
from typing import Any

from tests.cluster.layout import Layout


def get(layout: Layout, path: str, timeout: float = 5) -> dict[str, Any] | None:
    """The object at `path` as the administrator sees it; None where it is not there (yet)."""
    try:
        status, body = _get(layout, path, timeout)
    except (OSError, http.client.HTTPException):
        return None
    if status != http.HTTPStatus.OK:
        return None
    found: dict[str, Any] = json.loads(body)
    return found


def ready(layout: Layout) -> bool:
    """Whether the API server says that it is ready."""
    try:
        return _get(layout, "/readyz", 5)[0] == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False


def port_of(layout: Layout) -> int:
    """The API server's port on this machine's loopback, from the kubeconfig."""
    document = json.loads(layout.kubeconfig.read_text())
    server: str = document["clusters"][0]["cluster"]["server"]
    return int(server.rsplit(":", 1)[1])


def _get(layout: Layout, path: str, timeout: float) -> tuple[int, bytes]:
    context = ssl.create_default_context(cafile=str(layout.certificates / "ca.crt"))
    context.load_cert_chain(layout.certificates / "admin.crt", layout.certificates / "admin.key")
    connection = http.client.HTTPSConnection(
        "127.0.0.1", port_of(layout), timeout=timeout, context=context
    )
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()
