"""Which formats of the splat are asked for: `--formats ply,spz`, and the name of a file."""

from collections.abc import Mapping
from pathlib import Path

from splat_trainer.contract import Reason, SplatFormat, TrainerError, environment
from splat_trainer.contract.failure import shown

FLAG = "--formats"


def asked_formats(flag: str | None, environ: Mapping[str, str]) -> tuple[SplatFormat, ...]:
    """Give the formats to write, each once and the PLY first, which is written in any case.

    Raises TrainerError (InvalidConfiguration) that names what is unknown and lists what is not.
    """
    variable = environ.get(environment.FORMATS, "").strip()
    text, source = (variable, f"${environment.FORMATS}") if flag is None else (flag, FLAG)
    asked = [SplatFormat.PLY]
    for name in text.split(",") if text else ():
        try:
            asked.append(SplatFormat(name.strip()))
        except ValueError as error:
            raise TrainerError(
                Reason.INVALID_CONFIGURATION,
                f"there is no format {shown(name.strip())} ({source}): "
                f"use {', '.join(SplatFormat)}, separated by commas",
            ) from error
    return tuple(dict.fromkeys(asked))


def refuse_what_is_only_written(path: Path) -> None:
    """Raise TrainerError where a name is that of a format that nothing here reads."""
    name = path.name.lower()
    for format in SplatFormat:
        if format is not SplatFormat.PLY and name.endswith(format.suffix):
            raise TrainerError(
                Reason.INVALID_CONFIGURATION,
                f"{path}: {format} is only written, not read: give the PLY that it was made of",
            )


def format_of(path: Path) -> SplatFormat:
    """Tell a file's format from how its name ends; `.compressed.ply` is not `.ply`."""
    name = path.name.lower()
    fitting = [one for one in SplatFormat if name.endswith(one.suffix)]
    if not fitting:
        suffixes = ", ".join(one.suffix for one in SplatFormat)
        raise TrainerError(
            Reason.INVALID_CONFIGURATION,
            f"{path}: its name tells no format: end it with one of {suffixes}",
        )
    return max(fitting, key=lambda one: len(one.suffix))
