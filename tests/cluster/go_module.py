"""Programs of other projects, built from the Go module proxy at the versions that a go.mod pins."""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path

from tests.cluster.building import find_go
from tests.cluster.errors import ClusterError
from tests.cluster.layout import cache_root
from tests.cluster.locks import locked
from tests.cluster.stages import stage


def built_program(folder: Path, package: str) -> Path:
    """Give a package's program, built with the go.mod in `folder`; minutes the first time.

    Raises:
        ClusterError: there is no Go, or the build failed.
    """
    pins = (folder / "go.mod").read_bytes()
    digest = hashlib.sha256(pins + package.encode()).hexdigest()[:16]
    program = cache_root() / "programs" / f"{folder.name}-{digest}"
    program.parent.mkdir(parents=True, exist_ok=True)
    with locked(program.with_suffix(".lock")):
        if not program.exists():
            scratch = program.with_suffix(".building")
            with stage(f"building {package}"):
                _go(folder, "build", "-trimpath", "-ldflags", "-s -w", "-o", str(scratch), package)
            scratch.rename(program)
    return program


def module_folder(folder: Path, module: str) -> Path:
    """Give where a module's own files are: charts, stages, definitions of resources.

    Raises:
        ClusterError: there is no Go, or the module cannot be had.
    """
    _go(folder, "mod", "download", module)
    return Path(_go(folder, "list", "-m", "-f", "{{.Dir}}", module).strip())


def _go(folder: Path, *arguments: str) -> str:
    environment = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-buildvcs=false -mod=readonly"}
    done = subprocess.run(
        [find_go(), *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        end = "\n".join((done.stdout + done.stderr).strip().splitlines()[-30:])
        raise ClusterError(f"`go {' '.join(arguments)}` in {folder} failed:\n{end}")
    return done.stdout
