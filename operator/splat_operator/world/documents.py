"""Documents that trainers hand in, which a hostile pod may have written."""

import json
import math
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

_LARGEST = 2**63 - 1
_DIGITS = 21
"""So many are more than the largest has, with a sign too."""

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
        raw = json.loads(text, parse_constant=_absent, parse_float=_float, parse_int=_int)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    return model.model_validate(_known(raw, model))


def _absent(_: str) -> None:
    """NaN and Infinity, which JSON has not: no number that a status can show."""


def _float(text: str) -> float | None:
    number = float(text)
    return number if math.isfinite(number) else None


def _int(text: str) -> int:
    """No more than a status can show, and than floats can be made of."""
    number = int(text[:_DIGITS])
    return max(-_LARGEST, min(number, _LARGEST))


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
