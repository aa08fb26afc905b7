"""Who a token says that it is, and whether the API server agrees."""

import asyncio
import base64
import hashlib
import json
import random
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from splat_operator.act import ApiClient
from splat_operator.act.paths import TOKEN_REVIEWS
from splat_operator.api import names
from splat_operator.world.fields import mapping, text

_POD_UID = "authentication.kubernetes.io/pod-uid"
_CACHE_SECONDS = 300.0
"""A token is bound to its pod: whether that still is and works is asked of the store each time.
What is remembered is only that the API server signed it, and for whom; never beyond its own end."""
_REFUSED_SECONDS = 60.0
"""So long a refusal is remembered: a token may be good once the API server knows its own keys."""
_CACHE_SIZE = 10_000
_REVIEWS_AT_ONCE = 8


@dataclass(frozen=True)
class Caller:
    """The pod that a token is bound to."""

    namespace: str
    pod_uid: str


def claimed_caller(token: str) -> Caller | None:
    """Read whom a token claims to be bound to. Nothing is verified here.

    It only saves the API server the review of tokens that could not be the right ones.
    """
    bound = mapping(_claims(token), "kubernetes.io")
    caller = Caller(text(bound.get("namespace")), text(mapping(bound, "pod").get("uid")))
    return caller if caller.namespace and caller.pod_uid else None


def _claims(token: str) -> Any:
    """Read what a token says; None where it is none."""
    try:
        payload = token.split(".")[1]
        return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (ValueError, IndexError, RecursionError):
        return None


def _seconds_left(token: str) -> float:
    """Give how long a token that the API server has proven is still good."""
    claims = _claims(token)
    ends = claims.get("exp") if isinstance(claims, Mapping) else None
    return float(ends) - time.time() if isinstance(ends, int) else _CACHE_SECONDS


class TokenReviewer:
    """Asks the API server about tokens, and remembers its answers for a few minutes."""

    def __init__(self, client: ApiClient) -> None:
        self._client = client
        self._known: OrderedDict[bytes, tuple[float, Caller | None]] = OrderedDict()
        self._turn = asyncio.Semaphore(_REVIEWS_AT_ONCE)

    async def caller(self, token: str) -> Caller | None:
        """Give the pod that the token is bound to; None where it is not good for progress.

        Raises ApiError where the API server does not answer.
        """
        digest = hashlib.sha256(token.encode()).digest()
        known = self._known.get(digest)
        if known and time.monotonic() < known[0]:
            return known[1]
        async with self._turn:
            found = _bound_pod(await self._client.create(TOKEN_REVIEWS, _review(token)))
        # Not all at one moment: trainings that began together report together.
        spread = random.uniform(0.5, 1.0)  # noqa: S311 - only spreads load
        seconds = spread * (_CACHE_SECONDS if found else _REFUSED_SECONDS)
        if found:
            seconds = min(seconds, _seconds_left(token))
        self._known[digest] = (time.monotonic() + seconds, found)
        while len(self._known) > _CACHE_SIZE:
            self._known.popitem(last=False)
        return found


def _review(token: str) -> dict[str, Any]:
    return {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenReview",
        "spec": {"token": token, "audiences": [names.PROGRESS_AUDIENCE]},
    }


def _bound_pod(review: dict[str, Any]) -> Caller | None:
    status = mapping(review, "status")
    audiences = status.get("audiences")
    if status.get("authenticated") is not True or not isinstance(audiences, list):
        return None
    # A server that knows nothing of audiences gives none back: then the token proves nothing.
    if names.PROGRESS_AUDIENCE not in audiences:
        return None
    user = mapping(status, "user")
    kind, _, rest = text(user.get("username")).partition(":serviceaccount:")
    namespace, _, account = rest.partition(":")
    uids = mapping(user, "extra").get(_POD_UID)
    if kind != "system" or not namespace or not account or not isinstance(uids, list):
        return None
    return Caller(namespace, text(uids[0])) if len(uids) == 1 and text(uids[0]) else None
