"""The flags of `train`, generated from the fields of TrainConfig."""

import argparse
import types
from collections.abc import Iterable, Mapping
from typing import Any, Literal, Union, get_args, get_origin

import annotated_types
from pydantic.fields import FieldInfo

from splat_trainer.contract import TrainConfig
from splat_trainer.contract.presets import told_defaults


def flag_of(field: str) -> str:
    """The flag that sets a field: `max_side` is `--max-side`."""
    return "--" + field.replace("_", "-")


def add_config_flags(
    parser: argparse.ArgumentParser,
    title: str = "how to train",
    fields: Iterable[str] = tuple(TrainConfig.model_fields),
    helps: Mapping[str, str] = types.MappingProxyType({}),
) -> None:
    """Add a flag for each of `fields` of TrainConfig; one that is not given leaves no trace.

    `helps` are texts for what means something else here than in a training, by field. Values
    stay text: TrainConfig judges them, as it judges those of files and environment.
    """
    group = parser.add_argument_group(
        title, "Flags win over the environment, which wins over --config."
    )
    for name in fields:
        field = TrainConfig.model_fields[name]
        options: dict[str, Any] = {
            "dest": name,
            "default": argparse.SUPPRESS,
            "help": (helps.get(name) or _help(name, field)).replace("%", "%%"),
        }
        if field.annotation is bool:
            group.add_argument(flag_of(name), action=argparse.BooleanOptionalAction, **options)
        else:
            group.add_argument(flag_of(name), metavar=_metavar(field), **options)


def given_config_flags(arguments: argparse.Namespace) -> dict[str, Any]:
    """Pick the values that the command line set, by field."""
    return {name: value for name, value in vars(arguments).items() if name in _FIELDS}


_FIELDS = frozenset(TrainConfig.model_fields)


def _choices(field: FieldInfo) -> tuple[str, ...]:
    return get_args(field.annotation) if get_origin(field.annotation) is Literal else ()


def _metavar(field: FieldInfo) -> str:
    choices = _choices(field)
    if choices:
        return "{" + ",".join(choices) + "}"
    numeric = {int, float} & {field.annotation, *_members(field.annotation)}
    return "N" if numeric else "TEXT"


def _members(annotation: Any) -> tuple[Any, ...]:
    return get_args(annotation) if get_origin(annotation) in (Union, types.UnionType) else ()


def _help(name: str, field: FieldInfo) -> str:
    notes = [*_bounds(field.metadata), *_default(name, field), *_variable(name)]
    return f"{field.description} [{'; '.join(notes)}]" if notes else str(field.description)


def _bounds(metadata: Iterable[Any]) -> list[str]:
    low = next((m.ge for m in metadata if isinstance(m, annotated_types.Ge)), None)
    high = next((m.le for m in metadata if isinstance(m, annotated_types.Le)), None)
    if low is not None and high is not None:
        return [f"{low} to {high}"]
    return [] if low is None else [f"at least {low}"]


def _default(name: str, field: FieldInfo) -> list[str]:
    if name in told_defaults():
        return [f"default {told_defaults()[name]}"]
    if field.default is None or isinstance(field.default, bool):
        return []
    return [f"default {field.default}"]


def _variable(name: str) -> list[str]:
    variables = {field: variable for variable, field in TrainConfig.environment_fields().items()}
    return [f"or ${variables[name]}"] if name in variables else []
