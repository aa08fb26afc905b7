"""Strategic merge of a pod's template, as the API server does it.

Maps are merged, lists of a pod's named parts by their keys, and every other list is replaced. The
merge keys are those of k8s.io/api/core/v1 (`patchMergeKey` of the fields of PodSpec).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from splat_operator.decide.overrides.refusal import OverrideError


@dataclass(frozen=True)
class _Part:
    """A part of the template: its lists that are merged, by name with key and items, and parts.

    Nothing else has merge keys: a label may be called `env` as well.
    """

    lists: Mapping[str, tuple[str, "_Part"]] = field(default_factory=dict)
    parts: Mapping[str, "_Part"] = field(default_factory=dict)


_PLAIN = _Part()
_CONTAINER = _Part(
    lists={
        "env": ("name", _PLAIN),
        "ports": ("containerPort", _PLAIN),
        "volumeDevices": ("devicePath", _PLAIN),
        "volumeMounts": ("mountPath", _PLAIN),
    }
)
_POD = _Part(
    lists={
        "containers": ("name", _CONTAINER),
        "ephemeralContainers": ("name", _CONTAINER),
        "hostAliases": ("ip", _PLAIN),
        "imagePullSecrets": ("name", _PLAIN),
        "initContainers": ("name", _CONTAINER),
        "resourceClaims": ("name", _PLAIN),
        "topologySpreadConstraints": ("topologyKey", _PLAIN),
        "volumes": ("name", _PLAIN),
    }
)
_TEMPLATE = _Part(parts={"spec": _POD})

_EXCLUSIVE = ("volumes", "env")
"""Lists whose items have one source or another: what is given replaces the item as a whole."""

Node = dict[str, Any]


def merged(template: Mapping[str, Any], overrides: Mapping[str, Any]) -> Node:
    """Merge overrides into a pod's template; a null removes a field.

    Raises OverrideError for no patch.
    """
    return _merged(template, overrides, _TEMPLATE, "")


def _merged(under: Mapping[str, Any], over: Mapping[str, Any], part: _Part, path: str) -> Node:
    result = dict(under)
    for name, value in over.items():
        here = f"{path}.{name}" if path else name
        if name.startswith("$"):
            raise OverrideError(here, "directives are not taken: give the fields as they should be")
        before = result.get(name)
        if value is None:
            result.pop(name, None)
        elif name in part.lists:
            result[name] = _merged_list(before or [], value, name, part, here)
        elif isinstance(value, Mapping):
            inner = part.parts.get(name, _PLAIN)
            result[name] = _merged(
                before if isinstance(before, Mapping) else {}, value, inner, here
            )
        else:
            result[name] = value
    return result


def _merged_list(under: Sequence[Any], over: Any, name: str, part: _Part, path: str) -> list[Any]:
    key, items = part.lists[name]
    if not isinstance(over, list):
        raise OverrideError(path, "must be a list")
    result = list(under)
    for number, item in enumerate(over):
        if not isinstance(item, Mapping):
            raise OverrideError(f"{path}[{number}]", "must be an object")
        if key not in item:
            raise OverrideError(f"{path}[{number}]", f"lacks {key}, by which the list is merged")
        here = f"{path}[{item[key]}]"
        index = next((i for i, one in enumerate(result) if one.get(key) == item[key]), None)
        if index is None:
            result.append(_merged({}, item, items, here))
        elif name in _EXCLUSIVE:
            result[index] = _merged({}, item, items, here)
        else:
            result[index] = _merged(result[index], item, items, here)
    return result
