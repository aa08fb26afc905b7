"""How the API server is reached: a pod's service account, or a kubeconfig."""

import dataclasses
import os
import time
from collections.abc import Mapping
from pathlib import Path

import aiohttp
import kopf
from aiohttp.client_middlewares import ClientHandlerType

from splat_operator.runtime.kopf_decoding import Response

_TOKEN_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")
_TOKEN_SECONDS = 60.0


def connection_info() -> kopf.ConnectionInfo:
    """Find the API server and how to be known there; raises kopf.LoginError if there is none."""
    settings = kopf.OperatorSettings()
    info = kopf.login_with_service_account(settings=settings)
    if info is not None:
        return dataclasses.replace(info, server=_in_cluster_server(os.environ))
    info = kopf.login_with_kubeconfig(settings=settings)
    if info is None:
        raise kopf.LoginError(
            "no API server is known: run in a pod with a service account, or set KUBECONFIG"
        )
    return info


def open_session(
    info: kopf.ConnectionInfo, trace: aiohttp.TraceConfig | None = None
) -> aiohttp.ClientSession:
    """Open a session that stays valid as the service account's token is renewed."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, ssl=info.as_ssl_context()),
        headers={
            **info.as_http_headers(),
            "User-Agent": "splat-operator",
            # A list's pages would be compressed, at the API server's cost and at ours.
            "Accept-Encoding": "identity",
        },
        middlewares=(_FreshToken(_TOKEN_FILE),) if _TOKEN_FILE.is_file() else (),
        trace_configs=[trace] if trace else None,
        response_class=Response,
        trust_env=False,
    )


def _in_cluster_server(environ: Mapping[str, str]) -> str:
    """By address, as client-go does: the operator must not depend on the cluster's DNS."""
    host = environ.get("KUBERNETES_SERVICE_HOST", "kubernetes.default.svc")
    port = environ.get("KUBERNETES_SERVICE_PORT", "443")
    return f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"


class _FreshToken:
    """Puts the token into each request, and reads its file again every minute."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read_at = float("-inf")
        self._header = ""

    async def __call__(
        self, request: aiohttp.ClientRequest, handler: ClientHandlerType
    ) -> aiohttp.ClientResponse:
        now = time.monotonic()
        if now - self._read_at > _TOKEN_SECONDS:
            self._header = f"Bearer {self._path.read_text(encoding='ascii').strip()}"
            self._read_at = now
        request.headers["Authorization"] = self._header
        return await handler(request)
