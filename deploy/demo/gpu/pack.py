"""Packs what the GPU machine cannot fetch, on a machine that reaches the registries.

Makes in the given folder: cluster.tar.xz (Kubernetes, containerd, Helm), s3-server.tar.xz
(the S3 server's image), and site.tar.xz (the locked packages of operator and trainer, gsplat
and this project, for the GPU machine's Python).
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from deploy.demo.stages import DemoError, Stages
from deploy.demo.story import REPOSITORY
from tests.cluster.errors import ClusterError
from tests.cluster.images import build_s3_server_image

PYTHON_VERSION = "3.12"
LOCKS = ("operator.txt", "trainer.txt", "gsplat.txt")


def pack(folder: Path, stages: Stages) -> None:
    """Make all three in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    with stages.stage("cluster.tar.xz"):
        archive = str(folder / "cluster.tar.xz")
        _run([sys.executable, "-m", "tests.cluster", "pack", archive, "--with", "helm"])
    with stages.stage("s3-server.tar.xz"):
        try:
            image = build_s3_server_image()
        except ClusterError as error:
            raise DemoError(str(error)) from error
        with (folder / "s3-server.tar.xz").open("wb") as packed:
            subprocess.run(
                ["xz", "-9e", "-T0", "--stdout", image.archive], stdout=packed, check=True
            )
    with stages.stage("site.tar.xz"), tempfile.TemporaryDirectory() as scratch:
        _install_packages(Path(scratch) / "site")
        archive = str(folder / "site.tar.xz")
        _run(["tar", "--xz", "--create", "--file", archive, "--directory", scratch, "site"])
    for path in sorted(folder.glob("*.tar.xz")):
        print(f"    {path.stat().st_size / 1e6:6.1f} MB  {path.name}")


def _install_packages(site: Path) -> None:
    """Install for another Python than this one, which uv can and pip cannot."""
    uv = shutil.which("uv")
    if uv is None:
        raise DemoError("uv is not on the PATH: run `make gpu-pack`, which installs it")
    for lock in LOCKS:
        _run(
            [
                *(uv, "pip", "install", "--quiet", "--no-deps", "--target", str(site)),
                *("--only-binary=:all:", "--python-version", PYTHON_VERSION),
                *("--python-platform", "x86_64-manylinux_2_28"),
                *("--requirement", str(REPOSITORY / "locks" / lock)),
            ]
        )
    for package in ("operator/splat_operator", "trainer/splat_trainer"):
        shutil.copytree(
            REPOSITORY / package,
            site / Path(package).name,
            ignore=shutil.ignore_patterns("__pycache__"),
        )


def _run(command: list[str]) -> None:
    finished = subprocess.run(command, cwd=REPOSITORY, check=False)
    if finished.returncode:
        raise DemoError(f"{' '.join(command[:5])} … ended with {finished.returncode}")
