"""Strategic merge of a pod's template, as the API server does it.

Maps are merged, lists of a pod's named parts by their keys, and every other list is replaced. The
merge keys are those of k8s.io/api/core/v1 (`patchMergeKey` of the fields of PodSpec).
"""

from collections.abc import Mapping, Sequence
from typing import Any

from splat_operator.decide.overrides.refusal import OverrideError

MERGE_KEYS = {
    "containers": "name",
    "env": "name",
    "ephemeralContainers": "name",
    "hostAliases": "ip",
    "imagePullSecrets": "name",
    "initContainers": "name",
    "ports": "containerPort",
    "resourceClaims": "name",
    "topologySpreadConstraints": "topologyKey",
    "volumeDevices": "devicePath",
    "volumeMounts": "mountPath",
    "volumes": "name",
}

_EXCLUSIVE = ("volumes", "env")
"""Lists whose items have one source or another: what is given replaces the item as a whole."""

Node = dict[str, Any]


def merged(under: Mapping[str, Any], over: Mapping[str, Any], path: str = "") -> Node:
    """Merge `over` into `under`; a null removes a field. Raises OverrideError for no patch."""
    result = dict(under)
    for name, value in over.items():
        here = f"{path}.{name}" if path else name
        if name.startswith("$"):
            raise OverrideError(here, "directives are not taken: give the fields as they should be")
        before = result.get(name)
        if value is None:
            result.pop(name, None)
        elif name in MERGE_KEYS:
            result[name] = _merged_list(before or [], value, name, here)
        elif isinstance(value, Mapping):
            result[name] = merged(before if isinstance(before, Mapping) else {}, value, here)
        else:
            result[name] = value
    return result


def _merged_list(under: Sequence[Any], over: Any, name: str, path: str) -> list[Any]:
    key = MERGE_KEYS[name]
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
            result.append(merged({}, item, here))
        elif name in _EXCLUSIVE:
            result[index] = merged({}, item, here)
        else:
            result[index] = merged(result[index], item, here)
    return result
