"""Versions, memory, disk, and which variables of S3 are set."""

import importlib.util
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from splat_trainer.cli.diagnosis.finding import Finding, Verdict
from splat_trainer.cli.workspace import temporary_folder
from splat_trainer.contract import TrainerError, environment
from splat_trainer.report.machine import these_versions, this_machine

SPACE_WANTED_BYTES = 2 << 30
"""A splat of 3M Gaussians, its checkpoint with Adam's moments, previews: about 2 GiB."""

NEEDED_MODULES = ("PIL", "boto3", "jinja2", "numpy", "pydantic", "rich", "torch", "yaml")

S3_VARIABLES = (
    environment.S3_ENDPOINT_URL,
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_REGION",
    "AWS_PROFILE",
    "AWS_ROLE_ARN",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
)


def look_at_versions() -> Finding:
    """The versions of all that shapes a result."""
    versions = these_versions().model_dump(by_alias=False)
    told = ", ".join(f"{name} {version or 'none'}" for name, version in versions.items())
    return Finding("versions", Verdict.OK, told)


def look_at_packages() -> Finding:
    """Whether all that a training imports is there; an image may lack what its base should bring.

    gsplat is told with the kernels: on a CPU nothing needs it.
    """
    missing = [name for name in NEEDED_MODULES if importlib.util.find_spec(name) is None]
    if missing:
        return Finding("packages", Verdict.FAULT, f"not installed: {', '.join(missing)}")
    return Finding("packages", Verdict.OK, "all that a training imports is installed")


def look_at_machine() -> Finding:
    """Processor and memory, as far as this process may use them."""
    machine = this_machine(gpu=None)
    return Finding(
        "machine",
        Verdict.OK,
        f"{machine.cpu}, {machine.cpus} usable, {machine.memory_bytes / 2**30:.1f} GiB of memory, "
        f"{machine.system}",
    )


def look_at_space(folder: Path, name: str) -> Finding:
    """Whether a folder, or the nearest that exists above it, can be written and has room."""
    existing = next((f for f in (folder, *folder.absolute().parents) if f.exists()), Path("/"))
    if not existing.is_dir():
        return Finding(name, Verdict.FAULT, f"{existing} is no folder")
    if not os.access(existing, os.W_OK | os.X_OK):
        return Finding(name, Verdict.FAULT, f"{existing} cannot be written by user {os.getuid()}")
    free = shutil.disk_usage(existing).free
    told = f"{free / 2**30:.1f} GiB free in {existing.absolute()}"
    if free < SPACE_WANTED_BYTES:
        wanted = SPACE_WANTED_BYTES / 2**30
        return Finding(name, Verdict.NOTE, f"{told}: a large splat may need {wanted:.0f} GiB")
    return Finding(name, Verdict.OK, told)


def look_at_scratch() -> Finding:
    """Whether there is a folder for temporary files."""
    try:
        folder = temporary_folder()
    except TrainerError as error:
        return Finding("scratch", Verdict.FAULT, error.message)
    return look_at_space(folder, "scratch")


def look_at_s3(environ: Mapping[str, str]) -> Finding:
    """Which variables are set; their values are nobody's business."""
    present = [name for name in S3_VARIABLES if environ.get(name, "").strip()]
    return Finding("S3", Verdict.OK, "set: " + (", ".join(present) or "none of its variables"))
