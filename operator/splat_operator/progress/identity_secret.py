"""The Secret in which the endpoint's identity is kept, so that every replica has the same."""

import base64
import binascii
import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from splat_operator.act import ApiClient, ApiError
from splat_operator.act.paths import secrets
from splat_operator.progress.certificates import Identity, Pair, fresh_identity

logger = logging.getLogger(__name__)

_ATTEMPTS = 5


class IdentitySecret:
    """Reads the identity, makes it where it is missing, renews what runs out."""

    def __init__(self, client: ApiClient, namespace: str, name: str, host: str) -> None:
        """`host` is the name or address under which pods reach the endpoint."""
        self._client = client
        self._namespace = namespace
        self._name = name
        self._host = host

    async def identity(self) -> Identity:
        """Give the identity that is right now; raises ApiError where the Secret is refused."""
        for _ in range(_ATTEMPTS):
            secret = await self._read()
            known = _identity(secret) if secret else None
            wanted = fresh_identity(known, self._host, datetime.now(UTC))
            if wanted == known or await self._write(secret, wanted):
                return wanted
            logger.info("another replica has just written Secret %s; reading it", self._name)
        raise ApiError(409, "Conflict", f"Secret {self._name} changes all the time")

    async def _read(self) -> Mapping[str, Any] | None:
        try:
            return await self._client.get(f"{secrets(self._namespace)}/{self._name}")
        except ApiError as error:
            if error.gone:
                return None
            raise

    async def _write(self, secret: Mapping[str, Any] | None, identity: Identity) -> bool:
        """Write it unless somebody else was first."""
        body: dict[str, Any] = {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "Opaque",
            **(secret or {"metadata": {"namespace": self._namespace, "name": self._name}}),
            "data": _data(identity),
        }
        try:
            if secret is None:
                await self._client.create(secrets(self._namespace), body)
            else:
                await self._client.replace(f"{secrets(self._namespace)}/{self._name}", body)
        except ApiError as error:
            if error.conflict:
                return False
            raise
        return True


def _data(identity: Identity) -> dict[str, str]:
    pairs = {"ca": identity.authority, "tls": identity.serving}
    if identity.next_authority:
        pairs["ca-next"] = identity.next_authority
    return {
        f"{name}.{part}": base64.b64encode(content).decode()
        for name, pair in pairs.items()
        for part, content in (("crt", pair.certificate), ("key", pair.key))
    }


def _identity(secret: Mapping[str, Any]) -> Identity | None:
    data = secret.get("data") or {}
    authority, serving = _pair(data, "ca"), _pair(data, "tls")
    if authority is None or serving is None:
        return None
    return Identity(authority, serving, _pair(data, "ca-next"))


def _pair(data: Mapping[str, str], name: str) -> Pair | None:
    try:
        return Pair(
            base64.b64decode(data[f"{name}.crt"], validate=True),
            base64.b64decode(data[f"{name}.key"], validate=True),
        )
    except (KeyError, binascii.Error):
        return None
