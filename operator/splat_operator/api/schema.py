"""pydantic models to the structural schemas that a CRD takes.

Rules of structural schemas: kubernetes.io, "Custom Resources", "Specifying a structural schema".
"""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from splat_operator.api.resource import IMMUTABLE, RULES, rule

Schema = dict[str, Any]

_FIXED = "cannot be changed: delete this SplatTraining and make anew"
_KEPT = (
    "type",
    "format",
    "description",
    "default",
    "enum",
    "pattern",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "minProperties",
    "maxProperties",
    "required",
)


def structural_schema(model: type[BaseModel]) -> Schema:
    """Give a model's schema with nothing referred to, nothing nullable and nothing extra."""
    raw = model.model_json_schema(by_alias=True)
    return _structural(raw, raw.get("$defs", {}))


def _structural(raw: Mapping[str, Any], definitions: Mapping[str, Any]) -> Schema:
    node = _resolved(raw, definitions)
    schema: Schema = {key: node[key] for key in _KEPT if node.get(key) is not None}
    schema.update({key: value for key, value in node.items() if key.startswith("x-kubernetes-")})
    if schema.get("type") == "integer":
        schema["format"] = "int64"
    if "description" in schema:
        schema["description"] = " ".join(schema["description"].split())
    if "x-kubernetes-int-or-string" in schema:
        schema["anyOf"] = node["anyOf"]
    if "const" in node:
        schema["enum"] = [node["const"]]
    if "items" in node:
        schema["items"] = _structural(node["items"], definitions)
    if isinstance(node.get("additionalProperties"), Mapping):
        schema["additionalProperties"] = _structural(node["additionalProperties"], definitions)
    if "properties" in node:
        schema["properties"] = {
            name: _structural(value, definitions) for name, value in node["properties"].items()
        }
        _fix(schema, node, definitions)
    return schema


def _resolved(raw: Mapping[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
    """Follow references and step into the one variant of an optional type."""
    node = dict(raw)
    if "anyOf" in node and "x-kubernetes-int-or-string" not in node:
        variants = [variant for variant in node.pop("anyOf") if variant.get("type") != "null"]
        if len(variants) != 1:
            raise ValueError(f"a structural schema has no unions: {variants}")
        node = _merged(_resolved(variants[0], definitions), node)
    if "$ref" in node:
        name = str(node.pop("$ref")).rsplit("/", 1)[-1]
        node = _merged(_resolved(definitions[name], definitions), node)
    return node


def _merged(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Let a field's own words stand over those of its type; rules of both hold."""
    merged = {**under, **over}
    both = [*under.get(RULES, []), *over.get(RULES, [])]
    if both:
        merged[RULES] = both
    return merged


def _fix(schema: Schema, node: Mapping[str, Any], definitions: Mapping[str, Any]) -> None:
    """Add the rules by which what is marked as immutable cannot change, nor come or go.

    The API server evaluates every rule at every write, those of a status too, but a field's own
    only where the field is there: one rule for all that may be absent, and one a field, are
    cheaper than one a field that minds its absence (a seventh of a status write, measured).
    """
    fixed = [name for name, one in node["properties"].items() if _immutable(one, definitions)]
    for name in fixed:
        field = schema["properties"][name]
        field[RULES] = [*field.get(RULES, []), rule("self == oldSelf", f"{name} {_FIXED}")]
    optional = [name for name in fixed if name not in node.get("required", [])]
    if not optional:
        return
    both = [f"has(self.{name}) == has(oldSelf.{name})" for name in optional]
    which = "".join(f"!({one}) ? '{name}' : " for name, one in zip(optional, both, strict=True))
    presence = {
        "rule": " && ".join(both),
        "message": f"a field that {_FIXED}",
        "messageExpression": f"({which}'a field') + ' {_FIXED}'",
    }
    schema[RULES] = [*schema.get(RULES, []), presence]


def _immutable(raw: Mapping[str, Any], definitions: Mapping[str, Any]) -> bool:
    return bool(_resolved(raw, definitions).get(IMMUTABLE))
