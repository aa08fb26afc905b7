"""What this machine needs to reach package registries, handed to a build and never kept in it."""

from __future__ import annotations

import configparser
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.errors import ClusterError

_CA_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
_MOUNT_POINT = "/run/host"


@dataclass(frozen=True)
class Mount:
    """A file or folder of this machine, shown read-only to the commands of a build."""

    source: Path
    target: str

    def __str__(self) -> str:
        return f"{self.source}:{self.target}:ro"


def pip_mounts(folder: Path) -> list[Mount]:
    """Write this machine's pip configuration into `folder`; tell what to mount for a build.

    Local files and folders that it names (a certificate bundle, a folder of wheels) are mounted
    too, and the configuration names them as the build sees them.
    """
    settings = _pip_settings(os.environ)
    if _CA_BUNDLE.exists() and not settings.has_option("global", "cert"):
        settings.set("global", "cert", str(_CA_BUNDLE))
    mounts: list[Mount] = []
    for section in settings.sections():
        for name, value in settings.items(section):
            words = value.split()
            for position, word in enumerate(words):
                path = Path(word)
                if path.is_absolute() and path.exists():
                    words[position] = f"{_MOUNT_POINT}/{len(mounts)}-{path.name}"
                    mounts.append(Mount(path.resolve(), words[position]))
            settings.set(section, name, "\n  ".join(words))
    configuration = folder / "pip.conf"
    with configuration.open("w") as file:
        settings.write(file)
    return [*mounts, Mount(configuration, "/etc/pip.conf")]


def _pip_settings(environ: Mapping[str, str]) -> configparser.RawConfigParser:
    """Join pip's configuration files and PIP_* variables, the later ones winning as in pip."""
    settings = configparser.RawConfigParser()
    home = Path.home()
    own = environ.get("PIP_CONFIG_FILE")
    settings.read(
        [
            "/etc/xdg/pip/pip.conf",
            "/etc/pip.conf",
            home / ".pip" / "pip.conf",
            home / ".config" / "pip" / "pip.conf",
            *([own] if own else []),
        ]
    )
    if not settings.has_section("global"):
        settings.add_section("global")
    for variable, value in environ.items():
        if variable.startswith("PIP_") and variable != "PIP_CONFIG_FILE" and value:
            settings.set("global", variable[4:].lower().replace("_", "-"), value)
    return settings


def debian_mirror() -> str:
    """Give the mirror of Debian that this machine's apt uses.

    Raises:
        ClusterError: apt is configured with none.
    """
    targets = _output(
        "apt-get", "indextargets", "--format", "$(ORIGIN) $(LABEL) $(REPO_URI)",
        "Created-By: Packages",
    )  # fmt: skip
    for line in targets.splitlines():
        origin, label, uri = line.split(maxsplit=2)
        if (origin, label) == ("Debian", "Debian"):
            return uri.rstrip("/")
    raise ClusterError(
        "apt on this machine names no archive of Debian: add one to /etc/apt/sources.list, "
        "then run apt-get update"
    )


def apt_options() -> list[str]:
    """Give the proxy and certificate options of this machine's apt."""
    wanted = ("Acquire::http::", "Acquire::https::", "Acquire::Retries")
    return [
        line.rstrip(";")
        for line in _output("apt-config", "dump").splitlines()
        if line.startswith(wanted) and '""' not in line
    ]


def _output(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ""
    return done.stdout if done.returncode == 0 else ""
