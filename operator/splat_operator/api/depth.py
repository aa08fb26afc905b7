"""How deep a field may be nested whose inside the schema leaves open.

The API server takes ten thousand levels there, and a decoder that calls itself does not.
"""

from collections.abc import Iterable
from typing import Any

DEEPEST = 50
"""Levels; a pod's template, with every field that Kubernetes knows, has about fifteen."""


def within_depth(value: dict[str, Any]) -> dict[str, Any]:
    """Give the value; raises ValueError where it is nested too deeply."""
    level: list[Any] = [value]
    for _ in range(DEEPEST):
        level = [inner for one in level for inner in _inside(one)]
    if any(isinstance(one, dict | list) for one in level):
        raise ValueError(f"is nested deeper than {DEEPEST} levels")
    return value


def _inside(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()
