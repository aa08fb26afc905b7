"""Documents that trainers hand in, which a hostile pod may have written."""

import json
from typing import Any, TypeVar

from pydantic import BaseModel

from splat_trainer.contract import (
    CheckpointRef,
    KernelsDocument,
    OutputFile,
    ProgressDocument,
    ResultDocument,
)
from splat_trainer.contract.kernels_use import KernelsUse

_NESTED: dict[str, type[BaseModel]] = {
    "outputs": OutputFile,
    "checkpoint": CheckpointRef,
    "kernels": KernelsUse,
}

Model = TypeVar("Model", bound=BaseModel)


def parse_result(message: str) -> ResultDocument | None:
    """Read the result document of a termination message; None where it is none."""
    try:
        return _parse(message, ResultDocument)
    except ValueError:
        return None


def parse_kernels(message: str) -> KernelsDocument | None:
    """Read the kernels document of a termination message; None where it is none."""
    try:
        return _parse(message, KernelsDocument)
    except ValueError:
        return None


def parse_progress(body: str) -> ProgressDocument:
    """Read a progress document; raises ValueError where it is none."""
    return _parse(body, ProgressDocument)


def _parse(text: str, model: type[Model]) -> Model:
    """Fields that this version does not know are left out: a newer trainer is read too."""
    try:
        raw = json.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    return model.model_validate(_known(raw, model))


def _known(raw: Any, model: type[BaseModel]) -> Any:
    if not isinstance(raw, dict):
        return raw
    known: dict[str, Any] = {}
    for name, field in model.model_fields.items():
        key = field.alias or name
        if key not in raw:
            continue
        value = raw[key]
        nested = _NESTED.get(key)
        if nested and isinstance(value, list):
            value = [_known(item, nested) for item in value]
        elif nested:
            value = _known(value, nested)
        known[key] = value
    return known
