"""Reads a configuration file, JSON or YAML, into a mapping of TrainConfig's fields."""

import difflib
import json
from pathlib import Path
from typing import Any

import yaml

from splat_trainer.contract import Reason, TrainConfig, TrainerError

SIZE_LIMIT_BYTES = 1 << 20


def read_config_file(path: Path) -> dict[str, Any]:
    """Read the settings in a file, by field name; keys may be camelCase or snake_case.

    Raises TrainerError (InvalidConfiguration) naming the file and the line or the key.
    """
    data = _parse(path, _read(path))
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise _refuse(path, f"holds a {type(data).__name__}, not a mapping of settings")
    fields: dict[str, Any] = {}
    for key, value in data.items():
        field = _FIELD_BY_KEY.get(key) if isinstance(key, str) else None
        if field is None:
            raise _refuse(path, _unknown(key))
        if field in fields:
            raise _refuse(path, f"sets {field} twice (as {key} too): keep one")
        fields[field] = value
    return fields


_FIELD_BY_KEY = {
    key: name
    for name, field in TrainConfig.model_fields.items()
    for key in (name, field.alias or name)
}


def _refuse(path: Path, what: str) -> TrainerError:
    return TrainerError(Reason.INVALID_CONFIGURATION, f"{path}: {what}")


def _unknown(key: object) -> str:
    near = difflib.get_close_matches(str(key), _FIELD_BY_KEY, n=1)
    hint = f"did you mean {near[0]}?" if near else "`splat-trainer config --print-schema` lists all"
    return f"there is no setting {str(key)[:80]!r}; {hint}"


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(SIZE_LIMIT_BYTES + 1)
    except OSError as error:
        raise _refuse(path, f"cannot be read: {error.strerror or error}") from error
    if len(content) > SIZE_LIMIT_BYTES:
        raise _refuse(path, f"is larger than {SIZE_LIMIT_BYTES} bytes: not a configuration")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise _refuse(path, f"is not UTF-8 text at byte {error.start}") from error


def _parse(path: Path, text: str) -> Any:
    try:
        if path.suffix.lower() == ".json":
            return json.loads(text, object_pairs_hook=_refuse_duplicates)
        return yaml.load(text, Loader=_UniqueKeyLoader)  # noqa: S506 - a SafeLoader
    except json.JSONDecodeError as error:
        raise _refuse(path, f"is not JSON at line {error.lineno}: {error.msg}") from error
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else "?"
        raise _refuse(path, f"is not YAML at line {line}: {error.problem}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise _refuse(path, f"cannot be parsed: {_one_line(error)}") from error


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200]


def _refuse_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    seen = dict(pairs)
    if len(seen) < len(pairs):
        twice = next(key for key, _ in pairs if [k for k, _ in pairs].count(key) > 1)
        raise ValueError(f"key {twice!r} stands twice")
    return seen


class _UniqueKeyLoader(yaml.SafeLoader):
    """YAML's own loader keeps the last of two equal keys without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=deep) for key, _ in node.value]
        for index, key in enumerate(keys):
            if key in keys[:index]:
                raise yaml.MarkedYAMLError(
                    problem=f"key {key!r} stands twice",
                    problem_mark=node.value[index][0].start_mark,
                )
        return super().construct_mapping(node, deep)
