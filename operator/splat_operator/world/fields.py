"""Reading of objects as the API server gives them: whatever is missing or odd reads as empty."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

Raw = Mapping[str, Any]


def mapping(value: Any, *path: str) -> Raw:
    """Step along `path`; empty where it does not lead to a mapping."""
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value if isinstance(value, Mapping) else {}


def mappings(value: Any) -> tuple[Raw, ...]:
    """Read a list of mappings; what is no mapping is left out."""
    if not isinstance(value, Sequence) or isinstance(value, str | bytes):
        return ()
    return tuple(item for item in value if isinstance(item, Mapping))


def text(value: Any) -> str:
    """Read a string; empty where it is none."""
    return value if isinstance(value, str) else ""


def integer(value: Any) -> int:
    """Read a whole number; 0 where it is none."""
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def optional_integer(value: Any) -> int | None:
    """Read a whole number; None where it is none."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def moment(value: Any) -> datetime | None:
    """Read a time of the API, RFC 3339 in UTC; None where it is none."""
    if not isinstance(value, str):
        return None
    try:
        read = datetime.fromisoformat(value)
    except ValueError:
        return None
    return read if read.tzinfo else read.replace(tzinfo=UTC)


def condition(conditions: Any, kind: str) -> Raw:
    """Find the condition of one type in a status' list; empty where it is not there."""
    return next((item for item in mappings(conditions) if item.get("type") == kind), {})


def controller_uid(metadata: Raw) -> str:
    """Give the uid of the owner that controls the object; empty where nobody does."""
    return text(_controller(metadata).get("uid"))


def controller_name(metadata: Raw) -> str:
    """Give the name of the owner that controls the object; empty where nobody does."""
    return text(_controller(metadata).get("name"))


def _controller(metadata: Raw) -> Raw:
    owners = mappings(metadata.get("ownerReferences"))
    return next((owner for owner in owners if owner.get("controller") is True), {})
