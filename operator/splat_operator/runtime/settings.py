"""What the operator is started with: each setting is a flag and an environment variable."""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

ENVIRONMENT_PREFIX = "SPLAT_OPERATOR_"
_OWN_NAMESPACE_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


class SettingsError(Exception):
    """A setting is wrong; the text is one line that names it."""


def _split(value: object) -> object:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


class Settings(BaseModel):
    """The settings. `--trainer-image` on the command line is SPLAT_OPERATOR_TRAINER_IMAGE."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    trainer_image: str = Field(
        min_length=1, description="Trainer image of trainings that name none. Required."
    )
    namespaces: Annotated[tuple[str, ...], BeforeValidator(_split)] = Field(
        (), description="Namespaces to serve, separated by commas. Empty: all."
    )
    namespace: str = Field(
        "",
        description="The operator's own namespace, for its Lease and its Secret. "
        "Empty: that of its service account.",
    )
    progress_url: str = Field(
        "",
        description="Address at which trainer pods reach the progress endpoint, such as "
        "https://splat-operator.splat-system.svc:8443. Empty: no live progress.",
        pattern=r"^(https://[^/\s]+)?$",
    )
    progress_port: int = Field(
        8443, ge=1, le=65535, description="Port that the progress endpoint listens on (HTTPS)."
    )
    progress_secret: str = Field(
        "splat-operator-progress",
        min_length=1,
        description="Secret in the operator's namespace with the endpoint's certificates; "
        "the operator makes it and renews them.",
    )
    http_port: int = Field(
        8080, ge=1, le=65535, description="Port of /healthz, /readyz and /metrics (HTTP)."
    )
    kernel_cache_claim: str = Field(
        "",
        description="PersistentVolumeClaim with compiled kernels, in each training's namespace, "
        "for trainings that name none. Empty: none.",
    )
    kernel_cache_path: str = Field("", description="Folder of the kernels in that claim.")
    leader_election: bool = Field(
        True, description="Act only while holding the Lease; needed for more than one replica."
    )
    lease_name: str = Field("splat-operator", min_length=1, description="Name of that Lease.")
    workers: int = Field(16, ge=1, le=256, description="Trainings reconciled at once.")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Least level that is logged."
    )
    log_format: Literal["json", "text"] = Field(
        "json", description="json: one object a line, for a log collector; text: for people."
    )

    @model_validator(mode="after")
    def _knows_its_own_namespace(self) -> Self:
        if (self.progress_url or self.leader_election) and not self.namespace:
            raise ValueError(
                "namespace is not set and no service account tells it: give --namespace, or "
                "switch off progress and leader election"
            )
        return self


def read_settings(argv: Sequence[str], environ: Mapping[str, str]) -> Settings:
    """Read the settings: a flag wins over its environment variable, that over the default."""
    parser = argparse.ArgumentParser(
        prog="splat-operator", description="Runs SplatTrainings as Kubernetes Jobs."
    )
    for name, field in Settings.model_fields.items():
        parser.add_argument(
            "--" + name.replace("_", "-"),
            dest=name,
            metavar="VALUE",
            help=f"{field.description} [{ENVIRONMENT_PREFIX}{name.upper()}]".replace("%", "%%"),
        )
    values: dict[str, Any] = {}
    if _OWN_NAMESPACE_FILE.is_file():
        values["namespace"] = _OWN_NAMESPACE_FILE.read_text(encoding="utf-8").strip()
    for name in Settings.model_fields:
        text = environ.get(ENVIRONMENT_PREFIX + name.upper(), "").strip()
        if text:
            values[name] = text
    flags = vars(parser.parse_args(argv))
    values.update({name: value for name, value in flags.items() if value is not None})
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        problems = "; ".join(_describe(problem) for problem in error.errors())
        raise SettingsError(problems) from None


def _describe(problem: Mapping[str, Any]) -> str:
    location = ".".join(str(part) for part in problem["loc"])
    message = str(problem["msg"]).removeprefix("Value error, ")
    if not location:
        return message
    name = location.split(".", maxsplit=1)[0]
    flag = "--" + name.replace("_", "-")
    return f"{flag} ({ENVIRONMENT_PREFIX}{name.upper()}): {message}"
