"""The operator's and the trainer's images over the machine's own Python and PyTorch."""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from deploy.demo.gpu.docker_archive import Image, write_archive
from deploy.demo.gpu.machine_layer import write_base_layer
from splat_trainer.kernels.places import image_store

OPERATOR = "splat.test/gpu-operator:1"
TRAINER = "splat.test/gpu-trainer:1"

DISTRIBUTIONS = ("torch", "triton", "numpy", "pillow", "setuptools", "ninja", "packaging")
DRIVER_LIBRARIES = "/usr/local/nvidia/lib64"


def write_images(archive: Path, site: Path, kernels: Path) -> None:
    """Write both images, which share all of their layers, into one archive."""
    with tempfile.TemporaryDirectory(dir=archive.parent) as scratch:
        base, own = Path(scratch) / "base.tar", Path(scratch) / "own.tar"
        write_base_layer(base, DISTRIBUTIONS)
        write_own_layer(own, site, kernels, Path(scratch) / "root")
        environment = {
            "PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin",
            "PYTHONPATH": "/opt/splat/site",
            "PYTHONUNBUFFERED": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
            "HOME": "/tmp",  # noqa: S108 - a volume of the pod's
            "LD_LIBRARY_PATH": DRIVER_LIBRARIES,
        }
        images = [
            Image(reference, (base, own), _entry_point(module), environment, "10001:10001")
            for reference, module in (
                (OPERATOR, "splat_operator.runtime.main"),
                (TRAINER, "splat_trainer.cli.process"),
            )
        ]
        write_archive(archive, images)


def _entry_point(module: str) -> tuple[str, ...]:
    """What pip would write as the script of a console entry point."""
    return ("python3", "-c", f"import sys; from {module} import main; sys.exit(main())")


def write_own_layer(layer: Path, site: Path, kernels: Path, root: Path) -> None:
    """Write packages and the builds of a kernel cache, laid out in `root` before."""
    shutil.copytree(site, root / "opt/splat/site")
    # Without leases and leftovers of builders, whose names begin with a dot.
    hidden = shutil.ignore_patterns(".*")
    in_image = root / image_store().relative_to("/")  # the image's Python is this one
    shutil.copytree(kernels, in_image, ignore=hidden)
    for name in ("tmp", "proc", "sys", "dev", "run", "var/run", "data", "output", "root"):
        (root / name).mkdir(parents=True, exist_ok=True)
    (root / "tmp").chmod(0o1777)
    names = sorted(path.name for path in root.iterdir())
    command: list[str | Path] = [
        "tar",
        "--create",
        "--file",
        layer,
        "--directory",
        root,
        "--numeric-owner",
    ]
    subprocess.run([*command, "--owner=0", "--group=0", *names], check=True)
