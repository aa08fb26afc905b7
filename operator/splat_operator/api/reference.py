"""docs/api.md, made from the CRD."""

from collections.abc import Iterator
from typing import Any

from splat_operator.api import names
from splat_operator.api.crd import COLUMNS, custom_resource_definition
from splat_operator.api.resource import RULES
from splat_operator.api.schema import Schema


def api_reference() -> str:
    """Give the reference page of the resource in Markdown."""
    root = custom_resource_definition()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    spec, status = root["properties"]["spec"], root["properties"]["status"]
    lines = [
        f"# {names.KIND}",
        "",
        f"`{names.API_VERSION}`, `kubectl get {names.PLURAL}` or `{names.SHORT_NAME}`. "
        "This page and the CRD are generated from `operator/splat_operator/api` by "
        "`python -m splat_operator.api.generate`.",
        "",
        root["description"],
        "",
        "Examples: [deploy/examples](../deploy/examples). Reasons of a status and what to do "
        "about each: [decisions.md](decisions.md).",
        "",
        "## Columns of kubectl get",
        "",
        "| column | what | path |",
        "| --- | --- | --- |",
        *(
            f"| {name.upper()}{' (`-o wide`)' if priority else ''} | {words} | `{path}` |"
            for name, _, path, priority, words in COLUMNS
        ),
        "",
        "## spec",
        "",
        "Fields marked **fixed** cannot be changed once the resource is made.",
        "",
        *_table(spec, "spec", _fixed_fields(spec)),
        "",
        "What the API server refuses besides a wrong type, pattern or range:",
        "",
        *(f"- `{path}`: {message}." for path, message in _rules(spec, "spec")),
        f"- {root[RULES][0]['message']}.",
        "",
        "## status",
        "",
        *_table(status, "status", frozenset()),
        "",
    ]
    return "\n".join(lines)


def _table(schema: Schema, path: str, fixed: frozenset[str]) -> list[str]:
    rows = ["| field | type | what |", "| --- | --- | --- |"]
    for name, field, required in _fields(schema, path):
        marks = [
            mark for mark, holds in (("required", required), ("fixed", name in fixed)) if holds
        ]
        words = field.get("description", "").replace("|", "\\|")
        words += f" Default: `{_default(field['default'])}`." if field.get("default") else ""
        words += f" **{', '.join(marks).capitalize()}.**" if marks else ""
        rows.append(f"| `{name}` | {_type(field)} | {words.strip()} |")
    return rows


def _default(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_default, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def _fields(schema: Schema, path: str) -> Iterator[tuple[str, Schema, bool]]:
    for name, field in schema.get("properties", {}).items():
        here = f"{path}.{name}"
        yield here, field, name in schema.get("required", [])
        if "properties" in field:
            yield from _fields(field, here)
        elif "properties" in field.get("items", {}):
            yield from _fields(field["items"], f"{here}[]")


def _type(field: Schema) -> str:
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    if "x-kubernetes-int-or-string" in field:
        return "integer or string"
    if field.get("type") == "array":
        return f"list of {_type(field['items'])}"
    if "additionalProperties" in field:
        return "map of string"
    kind = "time" if field.get("format") == "date-time" else str(field.get("type", "object"))
    return kind + _range(field)


def _range(field: Schema) -> str:
    low, high = field.get("minimum"), field.get("maximum")
    if low is None:
        return ""
    return f", at least {low}" if high is None else f", {low} to {high}"


def _rules(schema: Schema, path: str) -> Iterator[tuple[str, str]]:
    for one in schema.get(RULES, []):
        if "oldSelf" not in one["rule"]:
            yield path, one["message"]
    for name, field in schema.get("properties", {}).items():
        yield from _rules(field, f"{path}.{name}")
        if "items" in field:
            yield from _rules(field["items"], f"{path}.{name}[]")


def _fixed_fields(spec: Schema) -> frozenset[str]:
    return frozenset(
        f"spec.{name}"
        for name in spec["properties"]
        for one in spec["properties"][name].get(RULES, [])
        if "oldSelf" in one["rule"]
    )
