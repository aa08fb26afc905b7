"""Whether a schema that is installed takes what this operator writes, and what of it does not fit.

Both are structural schemas as CRDs and the API server's OpenAPI documents have them; only shapes
are compared: fields, types, and the values of enumerations. Words and bounds may differ.
"""

from collections.abc import Mapping
from typing import Any

Schema = Mapping[str, Any]

_OPEN = "x-kubernetes-preserve-unknown-fields"


def lacking(installed: Schema, wanted: Schema, path: str = "") -> tuple[str, ...]:
    """Give what of `wanted` is not in `installed`, by path; of a part that is missing, its own."""
    if installed.get(_OPEN):
        return ()
    if installed.get("type") != wanted.get("type"):
        return (f"{path} as {wanted.get('type', 'integer or string')}",)
    found: list[str] = []
    if "enum" in installed:
        there = set(installed["enum"])
        found += [f"{path}={value}" for value in wanted.get("enum", ()) if value not in there]
    fields: Schema = installed.get("properties", {})
    for name, field in wanted.get("properties", {}).items():
        here = f"{path}.{name}" if path else name
        found += lacking(fields[name], field, here) if name in fields else [here]
    for part in ("items", "additionalProperties"):
        if isinstance(wanted.get(part), Mapping) and isinstance(installed.get(part), Mapping):
            found += lacking(installed[part], wanted[part], f"{path}[]")
    return tuple(found)


def fitted(value: Any, schema: Schema) -> Any:
    """Give as much of a value as a schema takes; None where nothing of it."""
    if value is None or schema.get(_OPEN):
        return value
    if "enum" in schema and value not in schema["enum"]:
        return None
    if isinstance(value, Mapping) and "properties" in schema:
        fields: Schema = schema["properties"]
        kept = {name: fitted(item, fields[name]) for name, item in value.items() if name in fields}
        kept = {name: item for name, item in kept.items() if item is not None}
        return kept if kept.keys() >= set(schema.get("required", ())) else None
    if isinstance(value, list | tuple) and "items" in schema:
        items = [fitted(item, schema["items"]) for item in value]
        return [item for item in items if item is not None]
    return value
