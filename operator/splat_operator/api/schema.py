"""pydantic models to the structural schemas that a CRD takes.

Rules of structural schemas: kubernetes.io, "Custom Resources", "Specifying a structural schema".
"""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from splat_operator.api.resource import IMMUTABLE, RULES, rule

Schema = dict[str, Any]

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
        frozen = _immutability_rules(node, definitions)
        if frozen:
            schema[RULES] = [*schema.get(RULES, []), *frozen]
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


def _immutability_rules(node: Mapping[str, Any], definitions: Mapping[str, Any]) -> list[Schema]:
    found = []
    for name, value in node["properties"].items():
        if not _resolved(value, definitions).get(IMMUTABLE):
            continue
        if name in node.get("required", []):
            expression = f"self.{name} == oldSelf.{name}"
        else:
            expression = (
                f"has(self.{name}) == has(oldSelf.{name}) && "
                f"(!has(self.{name}) || self.{name} == oldSelf.{name})"
            )
        found.append(
            rule(expression, f"{name} cannot be changed: delete this SplatTraining and make anew")
        )
    return found
