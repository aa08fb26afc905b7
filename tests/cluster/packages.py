"""Debian packages of the cluster and its images, installed where their programs are missing."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.cluster.errors import ClusterError
from tests.cluster.stages import stage

SEARCH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

# A program (or a path) to look for, and the package that has it.
CLUSTER = {
    "containerd": "containerd",
    "ctr": "containerd",
    "runc": "runc",
    "/usr/lib/cni/bridge": "containernetworking-plugins",
    "iptables": "iptables",
    "ip": "iproute2",
    "openssl": "openssl",
    "unshare": "util-linux",
    "mount": "mount",
}

IMAGES = {
    "buildah": "buildah",
    "mmdebstrap": "mmdebstrap",
    "runc": "runc",
}


def missing(wanted: Mapping[str, str]) -> list[str]:
    """The packages, of those in `wanted` (program: package), whose program is not there."""

    def there(program: str) -> bool:
        if program.startswith("/"):
            return Path(program).exists()
        return shutil.which(program, path=SEARCH) is not None

    return sorted({package for program, package in wanted.items() if not there(program)})


def ensure(wanted: Mapping[str, str]) -> None:
    """Install what is missing of `wanted` (program: package), from Debian.

    Raises:
        ClusterError: it is missing, and cannot be installed here.
    """
    lacking = missing(wanted)
    if not lacking:
        return
    if shutil.which("apt-get", path=SEARCH) is None:
        raise ClusterError(
            f"not on this machine: {', '.join(lacking)}; there is no apt-get to install them. "
            "Carry the tools here: `python -m tests.cluster pack OUT.tar.xz` on a Debian machine, "
            "unpack it, then `up --tools FOLDER`"
        )
    if os.geteuid() != 0:
        raise ClusterError(f"install these Debian packages as root: {' '.join(lacking)}")
    with stage(f"installing Debian packages: {' '.join(lacking)}"):
        _apt("update")
        _apt("install", "--yes", "--no-install-recommends", *lacking)


def _apt(*arguments: str) -> None:
    command = ["apt-get", "-qq", "-o", "DPkg::Lock::Timeout=300", *arguments]
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        end = "\n".join((done.stdout + done.stderr).strip().splitlines()[-15:])
        raise ClusterError(f"{' '.join(command)} failed with {done.returncode}:\n{end}")
