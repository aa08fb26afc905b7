"""What the operator is started with: each setting is a flag and an environment variable."""

import argparse
import json
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from splat_trainer.contract.kernels import ARCHITECTURE_PATTERN

ENVIRONMENT_PREFIX = "SPLAT_OPERATOR_"
_OWN_NAMESPACE_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


class SettingsError(Exception):
    """A setting is wrong; the text is one line that names it."""


def _split(value: object) -> object:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _json(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        raise ValueError("is no JSON") from None


_UNITS = {
    "": 1,
    **{letter: 1000**power for power, letter in enumerate("kMGTP", start=1)},
    **{f"{letter}i": 1024**power for power, letter in enumerate("KMGTP", start=1)},
}


def _bytes(value: object) -> object:
    """Read a size as Kubernetes writes it: 4Gi, 500M."""
    if not isinstance(value, str):
        return value
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)([kMGTP]|[KMGTP]i|)", value)
    if found is None:
        raise ValueError(f"{value} is no size: give one such as 4Gi")
    return int(Decimal(found[1]) * _UNITS[found[2]])


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
    kernel_cache_in_image: bool = Field(
        False, description="The trainer image has its kernels: no cache is needed, none is filled."
    )
    kernel_cache_claim: str = Field(
        "",
        description="PersistentVolumeClaim for compiled kernels, in each training's namespace, "
        "for trainings that name none. Empty: none.",
    )
    kernel_cache_path: str = Field("", description="Folder of the kernels in that claim.")
    kernel_cache_claim_size: str = Field(
        "",
        description="Size of that claim, such as 5Gi: the operator makes it where it is not "
        "there. Empty: it does not.",
        pattern=r"^([0-9]+(\.[0-9]+)?(m|[kKMGTPE]i?)?)?$",
    )
    kernel_cache_claim_access_modes: Annotated[
        tuple[Literal["ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"], ...],
        BeforeValidator(_split),
    ] = Field(("ReadWriteMany",), description="How a claim that it makes can be mounted.")
    kernel_cache_claim_storage_class: str = Field(
        "", description="Storage class of a claim that it makes. Empty: the cluster's default."
    )
    kernel_cache_node_path: str = Field(
        "",
        description="Folder of each node for compiled kernels, instead of a claim; in it one for "
        "each namespace, made beforehand for user 10001. Pod Security admits it in privileged "
        "namespaces only.",
        pattern=r"^(/[^/\x00-\x1f].*)?$",
    )
    kernel_cache_architectures: Annotated[
        tuple[Annotated[str, Field(pattern=ARCHITECTURE_PATTERN)], ...], BeforeValidator(_split)
    ] = Field(
        (),
        description="Compute capabilities to compile for, such as 8.0,9.0. Empty: those that "
        "labels of nodes tell (GPU feature discovery).",
    )
    kernel_cache_on_miss: Literal["Build", "CompileInPod", "Fail"] = Field(
        "Build", description="What to do when compiling into the cache fails; as in the resource."
    )
    kernel_cache_max_size: Annotated[int | None, BeforeValidator(_bytes), Field(ge=1)] = Field(
        None,
        description="Most that a cache may hold, such as 4Gi: what is longest unused, and by no "
        "training needed, is deleted. Empty: no limit.",
    )
    kernel_cache_resources: Annotated[dict[str, Any], BeforeValidator(_json)] = Field(
        {}, description="Resources of the pods that compile, in JSON, as a container has them."
    )
    leader_election: bool = Field(
        True, description="Act only while holding the Lease; needed for more than one replica."
    )
    lease_name: str = Field("splat-operator", min_length=1, description="Name of that Lease.")
    workers: int = Field(48, ge=1, le=256, description="Trainings reconciled at once.")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Least level that is logged."
    )
    log_format: Literal["json", "text"] = Field(
        "json", description="json: one object a line, for a log collector; text: for people."
    )

    @property
    def watches_nodes(self) -> bool:
        """Whether nodes tell for which GPUs kernels are compiled, or where."""
        return bool(
            self.kernel_cache_node_path
            or (self.kernel_cache_claim and not self.kernel_cache_architectures)
        )

    @model_validator(mode="after")
    def _knows_its_own_namespace(self) -> Self:
        if (self.progress_url or self.leader_election) and not self.namespace:
            raise ValueError(
                "namespace is not set and no service account tells it: give --namespace, or "
                "switch off progress and leader election"
            )
        return self

    @field_validator("kernel_cache_path")
    @classmethod
    def _stays_in_the_volume(cls, path: str) -> str:
        if path.startswith("/") or {".", ".."} & set(path.split("/")):
            raise ValueError(f"{path!r} is no folder in the claim: give one such as kernels/gsplat")
        return path

    @model_validator(mode="after")
    def _has_one_place_for_kernels(self) -> Self:
        places = {
            "kernel-cache-in-image": self.kernel_cache_in_image,
            "kernel-cache-claim": self.kernel_cache_claim,
            "kernel-cache-node-path": self.kernel_cache_node_path,
        }
        given = [f"--{name}" for name, place in places.items() if place]
        if len(given) > 1:
            raise ValueError(f"give one of {' and '.join(given)}")
        if self.kernel_cache_claim_size and not self.kernel_cache_claim:
            raise ValueError("--kernel-cache-claim-size is of --kernel-cache-claim: give it too")
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
