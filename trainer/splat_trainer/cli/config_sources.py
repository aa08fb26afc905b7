"""Joins flags, environment and file into one TrainConfig that remembers who said what."""

import re
import reprlib
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from splat_trainer.cli.train_flags import flag_of
from splat_trainer.contract import Reason, TrainConfig, TrainerError


def resolve_config(
    flags: Mapping[str, Any],
    environ: Mapping[str, str],
    file: Mapping[str, Any],
    file_name: str = "the configuration file",
) -> TrainConfig:
    """Build the configuration: flags win over the environment, which wins over the file.

    `flags` and `file` map fields of TrainConfig to values. Raises TrainerError
    (InvalidConfiguration) with each faulty field and where its value came from.
    """
    variables = {field: name for name, field in TrainConfig.environment_fields().items()}
    environment = TrainConfig.environment_overrides(environ)
    sources = (
        dict.fromkeys(file, file_name)
        | {field: f"${variables[field]}" for field in environment}
        | {field: flag_of(field) for field in flags}
    )
    try:
        return TrainConfig.model_validate({**file, **environment, **flags})
    except ValidationError as error:
        faults = "; ".join(_tell(fault, sources) for fault in error.errors())
        raise TrainerError(Reason.INVALID_CONFIGURATION, faults) from error


def _tell(fault: ErrorDetails, sources: Mapping[str, str]) -> str:
    message = fault["msg"].removeprefix("Value error, ")
    if not fault["loc"]:
        return message + _provenance(message, sources)
    field = str(fault["loc"][0])
    wanted = re.sub(r"^Input should", "must", message)
    wanted = re.sub(r", unable to parse.*", "", wanted)
    return f"{field} {wanted}, not {reprlib.repr(fault['input'])} ({sources.get(field, 'default')})"


def _provenance(message: str, sources: Mapping[str, str]) -> str:
    """Say where each field that a message names, by field or alias, got its value."""
    named = [
        f"{field} from {sources.get(field, 'the default')}"
        for field, info in TrainConfig.model_fields.items()
        if re.search(rf"\b({field}|{info.alias})\b", message)
    ]
    return f" ({', '.join(named)})" if named else ""
