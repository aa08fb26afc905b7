"""The result document out of a pod's termination message, which a hostile pod may have written."""

import json
from typing import Any

from pydantic import BaseModel, ValidationError

from splat_trainer.contract import CheckpointRef, OutputFile, ResultDocument

_NESTED: dict[str, type[BaseModel]] = {"outputs": OutputFile, "checkpoint": CheckpointRef}


def parse_result(message: str) -> ResultDocument | None:
    """Read a result document; None where the message is none, whatever it is.

    Fields that this version does not know are left out, so that a newer trainer's document
    is read too.
    """
    try:
        raw = json.loads(message)
        return ResultDocument.model_validate(_known(raw, ResultDocument))
    except (ValueError, ValidationError, RecursionError):
        return None


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
