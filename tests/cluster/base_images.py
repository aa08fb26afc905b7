"""Base images for machines that no registry of images can be reached from: Debian by mmdebstrap.

The Dockerfiles of the project take their base as an argument. In production that is
python:3.12-slim for the operator and NVIDIA's PyTorch for the trainer; here it is Debian trixie,
whose python3-torch is the same PyTorch 2.6, built for the CPU. To compile CUDA kernels, it is
Debian's Python with PyPI's PyTorch for CUDA 13 and the nvcc that PyPI has too.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.cluster.buildah import Buildah, one_at_a_time, say
from tests.cluster.errors import ClusterError
from tests.cluster.host_settings import apt_options, debian_mirror, pip_mounts
from tests.cluster.layout import REPOSITORY

_FOLDER = Path(__file__).parent

_DOCUMENTATION = (
    "/usr/share/doc/*",
    "/usr/share/man/*",
    "/usr/share/info/*",
    "/usr/share/locale/*",
)
_NEVER_NEEDED = (*_DOCUMENTATION, "/usr/include/*")


@dataclass(frozen=True)
class BaseRecipe:
    """What a base image is made of."""

    name: str
    suite: str
    packages: tuple[str, ...]
    without: tuple[str, ...] = _NEVER_NEEDED
    wheels: str | None = None
    """The lock file of what pip installs beside the packages."""

    @property
    def key(self) -> str:
        """A digest of the recipe and of how it is followed."""
        text = json.dumps(asdict(self)) + self.dockerfile.read_text() + Path(__file__).read_text()
        if self.wheels:
            text += (REPOSITORY / self.wheels).read_text()
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    @property
    def dockerfile(self) -> Path:
        """How the packages, and the wheels where there are any, become an image."""
        return _FOLDER / ("base_image_cuda.Dockerfile" if self.wheels else "base_image.Dockerfile")

    @property
    def reference(self) -> str:
        return f"splat.test/base-{self.name}:{self.key}"


_PYTHON = ("ca-certificates", "python3-minimal", "python3-pip", "python3-venv")

PYTHON = BaseRecipe("python", "trixie", _PYTHON)

TORCH_CPU = BaseRecipe(
    "torch-cpu",
    "trixie",
    # Reference BLAS is what python3-torch comes with; OpenBLAS multiplies matrices many times
    # faster, and its OpenMP build shares torch's threads.
    (*_PYTHON, "python3-setuptools", "python3-numpy", "python3-torch", "libopenblas0-openmp"),
    without=(
        *_NEVER_NEEDED,
        "/usr/lib/libtorch-test/*",
        # AMD's GPU stack: loaded by UCX's plugins for it alone, and a third of the image.
        "/usr/lib/*/ucx/libuct_rocm*",
        "/usr/lib/*/ucx/libucx_perftest_rocm*",
        "/usr/lib/*/ucx/libucm_rocm*",
        "/usr/lib/*/libLLVM*",
        "/usr/lib/*/libamd_comgr*",
        "/usr/lib/*/libamdhip64*",
    ),
)

TORCH_CUDA = BaseRecipe(
    "torch-cuda",
    "trixie",
    # g++ and Python's headers: what nvcc and PyTorch's extensions need of a base.
    (*_PYTHON, "python3-dev", "g++"),
    without=_DOCUMENTATION,
    wheels="locks/base-torch-cuda.txt",
)


def ensure_base(recipe: BaseRecipe, buildah: Buildah) -> str:
    """Build the base image unless the store has it; give its name.

    Raises:
        ClusterError: Debian could not be installed.
    """
    with one_at_a_time(f"base-{recipe.name}"):
        if not buildah.has(recipe.reference):
            say(f"base image {recipe.name}: Debian {recipe.suite} with {len(recipe.packages)} "
                f"packages and what they need ({_how_long(recipe)})")  # fmt: skip
            with tempfile.TemporaryDirectory(dir=buildah.store.parent) as scratch:
                context, settings = Path(scratch) / "context", Path(scratch) / "settings"
                context.mkdir()
                settings.mkdir()
                _bootstrap(recipe, context / "base.tar")
                if recipe.wheels:
                    shutil.copy(REPOSITORY / recipe.wheels, context / "wheels.txt")
                buildah.build(
                    dockerfile=recipe.dockerfile,
                    context=context,
                    reference=recipe.reference,
                    arguments={},
                    mounts=pip_mounts(settings) if recipe.wheels else (),
                )
    return recipe.reference


def _how_long(recipe: BaseRecipe) -> str:
    return "then 2 GB of wheels: some minutes" if recipe.wheels else "about a minute"


def _bootstrap(recipe: BaseRecipe, archive: Path) -> None:
    command = [
        "mmdebstrap",
        "--quiet",
        "--variant=essential",
        "--mode=root",
        f"--include={','.join(recipe.packages)}",
        "--aptopt=APT::Install-Recommends false",
        *(f"--aptopt={option}" for option in apt_options()),
        *(f"--dpkgopt=path-exclude={pattern}" for pattern in recipe.without),
        # How this machine reaches a mirror is nothing to keep in an image.
        '--customize-hook=rm -rf "$1"/etc/apt/apt.conf.d/99mmdebstrap "$1"/etc/resolv.conf',
        '--customize-hook=rm -f "$1"/etc/apt/sources.list "$1"/etc/hostname',
        # Not by path-exclude: the packages compile their tests when they are configured.
        '--customize-hook=find "$1"/usr/lib/python3/dist-packages -type d -name tests -prune '
        "-exec rm -r {} +",
        # Where a build mounts this machine's pip configuration.
        '--customize-hook=touch "$1"/etc/pip.conf',
        recipe.suite,
        str(archive),
        debian_mirror(),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        end = "\n".join(done.stderr.splitlines()[-15:])
        raise ClusterError(f"mmdebstrap failed for {recipe.name}; the end of its log:\n{end}")
