"""Requests to the API server: JSON over one shared aiohttp session, and errors as values.

A client of our own, and small: the official Python client turns every answer into model objects,
and its import alone takes seconds and tens of megabytes; what is sent and read here are plain
dicts.
"""

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

import aiohttp

from splat_operator.world import loads

Raw = dict[str, Any]

_APPLY = "application/apply-patch+yaml"  # JSON is YAML
_MERGE = "application/merge-patch+json"
_JSON = "application/json"
_TIMEOUT = aiohttp.ClientTimeout(total=30, sock_connect=10)


_OTHER_UID = ("UID in precondition", "the UID in the precondition", "uid mismatch")
"""Of the storage, of a deletion and of a patch; no object's name has a space in it."""

Count = Callable[[str, str], None]


class ApiError(Exception):
    """The API server refused a request, in its own words."""

    def __init__(
        self,
        status: int,
        reason: str,
        message: str,
        causes: tuple[str, ...] = (),
        fields: tuple[str, ...] = (),
    ) -> None:
        """`fields` are those that the causes are about, such as .status.phase."""
        super().__init__(f"{status} {reason}: {message}")
        self.status = status
        self.reason = reason
        self.message = message
        self.causes = causes
        self.fields = fields

    @property
    def gone(self) -> bool:
        """Whether the object is not there."""
        return self.status == 404

    @property
    def conflict(self) -> bool:
        """Whether somebody else was first: another field manager, another uid, another version."""
        return self.status == 409

    @property
    def replaced(self) -> bool:
        """Whether another object, of another uid, has the name by now.

        A conflict says so in its message only: it has no cause, and its reason is that of others.
        """
        if self.conflict:
            return any(words in self.message for words in _OTHER_UID)
        return self.status == HTTPStatus.UNPROCESSABLE_ENTITY and "metadata.uid" in self.fields

    @property
    def in_vain(self) -> bool:
        """Whether the whole namespace is on its way out."""
        return "NamespaceTerminating" in self.causes

    @property
    def refusal(self) -> bool:
        """Whether the same request will be refused again until somebody changes something."""
        return 400 <= self.status < 500 and self.status not in (401, 408, 409, 429)

    @property
    def worth_telling(self) -> bool:
        """Whether whoever made the object should read it: 500 is what a failing webhook makes."""
        return self.refusal or self.status == HTTPStatus.INTERNAL_SERVER_ERROR


def name_taken(job: str) -> ApiError:
    """Give the refusal for a Job whose name somebody else has: told, and not asked for at once."""
    words = f"Job {job} is there and is not the operator's: delete or rename it"
    return ApiError(HTTPStatus.UNPROCESSABLE_ENTITY, "NameTaken", words)


class ApiClient:
    """Speaks to one API server."""

    def __init__(
        self, session: aiohttp.ClientSession, server: str, count: Count | None = None
    ) -> None:
        """`count` is told the method and the path of each request, for metrics."""
        self._session = session
        self._server = server.rstrip("/")
        self._count = count

    async def get(self, path: str, query: Mapping[str, str] | None = None) -> Raw:
        """Read an object, or the list that a query selects."""
        return await self._request("GET", path, query=query)

    async def create(
        self, path: str, body: Mapping[str, Any], *, manager: str | None = None
    ) -> Raw:
        """Make an object in a collection; a conflict if it is there."""
        query = {"fieldManager": manager} if manager else None
        return await self._request("POST", path, body, query=query)

    async def replace(self, path: str, body: Mapping[str, Any]) -> Raw:
        """Write an object whole; a conflict if its resourceVersion is not the newest."""
        return await self._request("PUT", path, body)

    async def apply(self, path: str, body: Mapping[str, Any], *, manager: str, force: bool) -> Raw:
        """Server-side apply; without force, a conflict where another manager owns a field."""
        query = {"fieldManager": manager, "force": "true" if force else "false"}
        return await self._request("PATCH", path, body, content_type=_APPLY, query=query)

    async def apply_unread(
        self, path: str, body: Mapping[str, Any], *, manager: str, force: bool
    ) -> None:
        """As `apply`, where nobody wants to know what the object is like then."""
        query = {"fieldManager": manager, "force": "true" if force else "false"}
        await self._request("PATCH", path, body, content_type=_APPLY, query=query, read=False)

    async def merge(self, path: str, body: Mapping[str, Any], *, manager: str) -> Raw:
        """Change the fields given and leave the others."""
        query = {"fieldManager": manager}
        return await self._request("PATCH", path, body, content_type=_MERGE, query=query)

    async def delete(self, path: str, *, uid: str, owned_first: bool = False) -> Raw:
        """Delete one object and what it owns, first or after it; a conflict for a namesake."""
        order = "Foreground" if owned_first else "Background"
        options = {"preconditions": {"uid": uid}, "propagationPolicy": order}
        return await self._request("DELETE", path, options)

    async def _request(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        content_type: str = _JSON,
        query: Mapping[str, str] | None = None,
        read: bool = True,
    ) -> Raw:
        if self._count:
            self._count(method, path)
        # aiohttp's own json= would replace the content type that says what kind of patch this is.
        payload = None if body is None else aiohttp.JsonPayload(body, content_type=content_type)
        async with self._session.request(
            method, self._server + path, data=payload, params=query, timeout=_TIMEOUT
        ) as response:
            if response.status >= 400:
                raise await _error(response)
            content = await response.read()
            answer: Raw = loads(content) if read else {}
            return answer


async def _error(response: aiohttp.ClientResponse) -> ApiError:
    text = (await response.text(errors="replace"))[:4096]
    try:
        status = await response.json(content_type=None, loads=loads)
        causes = (status.get("details") or {}).get("causes") or ()
        return ApiError(
            response.status,
            str(status["reason"]),
            str(status["message"]),
            tuple(str(cause.get("reason")) for cause in causes),
            tuple(str(cause.get("field")) for cause in causes),
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        # No Status object: a proxy's words, as they are.
        return ApiError(response.status, response.reason or "", text.strip())
