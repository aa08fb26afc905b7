"""The project's images, built from its Dockerfiles on this machine: no daemon, no registry.

`python -m tests.cluster.images build` builds those that most tests need; an image whose content
did not change is taken as it was built. The archives are what `ctr image import` and `docker load`
read.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.cluster.base_images import PYTHON, TORCH_CPU, TORCH_CUDA, BaseRecipe, ensure_base
from tests.cluster.build_context import content_tag, copied_by, file_digest, place, snapshot
from tests.cluster.buildah import Buildah, images_root, one_at_a_time, say
from tests.cluster.errors import ClusterError
from tests.cluster.host_settings import pip_mounts
from tests.cluster.layout import REPOSITORY

_REPOSITORY_NAME = "splat.test"
_ARCHIVES_KEPT = 2
_LAYERS_KEPT_SECONDS = 14 * 86_400


@dataclass(frozen=True)
class BuiltImage:
    """An image to run with `imagePullPolicy: IfNotPresent`: its tag is a digest of its content."""

    reference: str
    archive: Path
    """A docker-archive, to be loaded into a cluster's nodes."""


@dataclass(frozen=True)
class _TrainerProfile:
    base: BaseRecipe
    arguments: Mapping[str, str]


def _on_cuda(kernels: str) -> _TrainerProfile:
    arguments = {
        "GSPLAT_KERNELS": kernels,
        "TORCH_CUDA_ARCH_LIST": "9.0",
        "PYTHON_VERSION": "3.13",
        "TORCH_VERSION": "2.11",
        "CUDA_VERSION": "13.0",
    }
    return _TrainerProfile(TORCH_CUDA, arguments)


TRAINER_PROFILES: Mapping[str, _TrainerProfile] = {
    "cpu": _TrainerProfile(
        TORCH_CPU,
        {
            "GSPLAT_KERNELS": "none",
            "GSPLAT_VERSION": "none",
            "TORCH_CUDA_ARCH_LIST": "none",
            "PYTHON_VERSION": "3.13",
            "TORCH_VERSION": "2.6",
            "CUDA_VERSION": "none",
        },
    ),
    "cuda-aot": _on_cuda("aot"),
    "cuda-jit": _on_cuda("jit"),
}
"""Trainer images that this machine can build: a base, and what the Dockerfile must know of it."""


def build_operator_image() -> BuiltImage:
    """Build Dockerfile.operator on Debian's Python."""
    return _build("operator", REPOSITORY / "Dockerfile.operator", PYTHON, {})


def build_trainer_image(profile: str = "cpu") -> BuiltImage:
    """Build Dockerfile.trainer on the base of a profile.

    "cpu" is Debian's PyTorch 2.6; "cuda-aot" and "cuda-jit" are PyPI's for CUDA 13, with gsplat's
    kernels for one architecture, which takes a quarter of an hour, or with its sources.

    Raises:
        ClusterError: there is no such profile, or the build failed.
    """
    chosen = TRAINER_PROFILES.get(profile)
    if chosen is None:
        raise ClusterError(
            f"no trainer profile {profile!r}: there is {', '.join(TRAINER_PROFILES)}"
        )
    return _build(
        f"trainer-{profile}", REPOSITORY / "Dockerfile.trainer", chosen.base, chosen.arguments
    )


def build_s3_server_image(binary: Path | None = None) -> BuiltImage:
    """Build the S3-compatible server of the demo and the tests from versitygw's binary."""
    return _build(
        "s3-server",
        Path(__file__).parent / "s3server" / "Dockerfile",
        None,
        {},
        extra=(binary or _versitygw(),),
    )


def _versitygw() -> Path:
    from tests.cluster.building import built

    return built() / "bin" / "versitygw"


def _build(
    name: str,
    dockerfile: Path,
    base: BaseRecipe | None,
    arguments: Mapping[str, str],
    extra: Sequence[Path] = (),
) -> BuiltImage:
    buildah = Buildah.open()
    with one_at_a_time(name), tempfile.TemporaryDirectory(dir=images_root()) as scratch:
        context = Path(scratch) / "context"
        context.mkdir()
        settings = Path(scratch) / "settings"
        settings.mkdir()
        beside = {file.name for file in extra}
        sources = snapshot((s for s in copied_by(dockerfile) if s not in beside), context)
        for file in extra:
            place(file, context)
            sources += f" {file.name} {file_digest(file)}"
        if base is not None:
            arguments = {**arguments, "BASE": base.reference}
        tag = content_tag(dockerfile.read_text(), sources, arguments)
        reference = f"{_REPOSITORY_NAME}/{name}:{tag}"
        archive = images_root() / "archives" / name / f"{tag}.tar"
        if not archive.exists():
            started = time.monotonic()
            if base is not None:
                ensure_base(base, buildah)
            say(f"image {name}: building {reference}")
            buildah.build(
                dockerfile=dockerfile,
                context=context,
                reference=reference,
                arguments=arguments,
                mounts=pip_mounts(settings),
            )
            buildah.save(reference, archive)
            say(f"image {name}: built in {time.monotonic() - started:.0f} s, "
                f"{archive.stat().st_size / 1e6:.0f} MB")  # fmt: skip
            _forget_old(name, archive, buildah)
        archive.touch()
    return BuiltImage(reference, archive)


def _forget_old(name: str, newest: Path, buildah: Buildah) -> None:
    archives = sorted(newest.parent.glob("*.tar"), key=lambda path: path.stat().st_mtime)
    for archive in archives[:-_ARCHIVES_KEPT]:
        reference = f"{_REPOSITORY_NAME}/{name}:{archive.stem}"
        if buildah.has(reference):
            buildah.remove(reference)
        archive.unlink()
    buildah.forget_layers_older_than(_LAYERS_KEPT_SECONDS)


BUILDERS: Mapping[str, Callable[[], BuiltImage]] = {
    "operator": build_operator_image,
    "trainer": build_trainer_image,
    "s3-server": build_s3_server_image,
    "trainer-cuda-aot": partial(build_trainer_image, "cuda-aot"),
    "trainer-cuda-jit": partial(build_trainer_image, "cuda-jit"),
}
_USUAL = ("operator", "trainer", "s3-server")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.cluster.images", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    build = commands.add_parser("build", help="build images; prints reference and archive")
    build.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BUILDERS)}")
    commands.add_parser("list", help="list the archives that are there")
    arguments = parser.parse_args(argv)
    try:
        if arguments.command == "list":
            for archive in sorted((images_root() / "archives").glob("*/*.tar")):
                size = archive.stat().st_size / 1e6
                name = f"{_REPOSITORY_NAME}/{archive.parent.name}:{archive.stem}"
                print(f"{name}\t{size:.0f} MB\t{archive}")
            return 0
        for name in arguments.names or _USUAL:
            if name not in BUILDERS:
                raise ClusterError(f"no image {name!r}: there is {', '.join(BUILDERS)}")
            image = BUILDERS[name]()
            print(f"{image.reference}\t{image.archive}")
    except ClusterError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
