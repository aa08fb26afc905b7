"""`python -m deploy.demo.gpu pack|up|scenes|down`: what `make gpu-pack`, `gpu-demo` and
`gpu-scenes` run."""

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from deploy.demo import own_cluster
from deploy.demo.gpu import kernels
from deploy.demo.gpu.machine_images import OPERATOR, TRAINER, write_images
from deploy.demo.gpu.pack import pack
from deploy.demo.gpu.scenes import play
from deploy.demo.kube import Kube
from deploy.demo.manifests import TrainingRequest
from deploy.demo.stages import DemoError, Stages
from deploy.demo.story import REPOSITORY, Images, prepare, tell
from tests.cluster.layout import Layout, cache_root
from tests.cluster.loading import load_image

KERNELS_IN_IMAGE = {"kernelCache.inImage": True}
SCENES_ITERATIONS = 7000
"""Of each training of the scenes, unless ITERATIONS says another number."""


def main() -> int:
    """Run the command; gives the exit code."""
    arguments = _parser(os.environ).parse_args()
    try:
        stages = Stages()
        if arguments.command == "pack":
            pack(arguments.folder, stages)
        elif arguments.command == "down":
            own_cluster.remove()
        else:
            _up(arguments, stages)
    except DemoError as error:
        print(f"\ngpu-demo: {error}", file=sys.stderr)
        return 1
    return 0


def _up(arguments: argparse.Namespace, stages: Stages) -> None:
    kube, images = _machine(arguments.folder, stages)
    scenes = arguments.command == "scenes"
    steps = arguments.iterations or SCENES_ITERATIONS
    request = TrainingRequest(
        iterations=steps if scenes else arguments.iterations,
        max_side=None,
        max_gaussians=None,
        gpus=arguments.gpus,
        cpu=str(4 * arguments.gpus),
        memory="24Gi",
    )
    if scenes:
        prepare(kube, images, arguments.capture, stages, KERNELS_IN_IMAGE)
        play(kube, request, steps, stages, arguments.output)
    else:
        tell(
            kube,
            images,
            arguments.capture,
            request,
            arguments.output,
            stages,
            timeout=1800,
            chart_values=KERNELS_IN_IMAGE,
        )
    print(f"\nTime by stage:\n{stages.table()}")


def _machine(packed: Path, stages: Stages) -> tuple[Kube, Images]:
    """Bring the cluster up and its images into it, those made that are not there."""
    scratch = cache_root() / "gpu-demo"
    scratch.mkdir(parents=True, exist_ok=True)
    with stages.stage("Unpacking the cluster's tools"):
        tools = _unpack(packed / "cluster.tar.xz", scratch / "tools")
    kube = own_cluster.bring_up(stages, tools)
    with stages.stage("CUDA kernels, compiled here unless they were"):
        compiled = kernels.compile_kernels(
            Path(os.environ.get("SPLAT_KERNELS_DIR") or scratch / "kernels")
        )
    archive = scratch / "images.tar"
    with stages.stage("Images of operator and trainer, from this machine's PyTorch"):
        write_images(archive, packed / "site", compiled)
    with stages.stage("Loading the images into containerd"):
        loaded = load_image(Layout.of(own_cluster.NAME), archive)
        server = _unpack_file(packed / "s3-server.tar.xz", scratch / "s3-server.tar")
        (s3_server,) = load_image(Layout.of(own_cluster.NAME), server)
        print(f"    {', '.join([*loaded, s3_server])}")
    return kube, Images(OPERATOR, TRAINER, s3_server)


def _unpack(archive: Path, folder: Path) -> Path:
    """Unpack what was not unpacked whole before, or is of another archive; gives `folder`."""
    told = folder / ".unpacked"
    of = str(archive.stat().st_mtime_ns)
    if not (told.exists() and told.read_text() == of):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        subprocess.run(["tar", "--extract", "--file", archive, "--directory", folder], check=True)
        told.write_text(of)
    return folder


def _unpack_file(packed: Path, target: Path) -> Path:
    with target.open("wb") as file:
        subprocess.run(["xz", "--decompress", "--stdout", packed], stdout=file, check=True)
    return target


def _parser(environ: Mapping[str, str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make gpu-demo", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, text in (
        ("pack", "pack what the GPU machine needs, on a machine with registries"),
        ("up", "run the demo on the GPU machine"),
        ("scenes", "suspend, kill and starve trainings on the GPU machine"),
        ("down", "remove the demo's cluster"),
    ):
        command = commands.add_parser(name, help=text)
        command.add_argument(
            "--folder",
            type=Path,
            default=environ.get("GPU_PACK") or REPOSITORY / ".gpu",
            help="what `pack` makes and `up` reads (GPU_PACK)",
        )
        if name in ("up", "scenes"):
            command.add_argument(
                *("--capture",),
                type=Path,
                default=environ.get("CAPTURE") or None,
                required=not environ.get("CAPTURE"),
                help="folder with images/ and sparse/ (CAPTURE)",
            )
            command.add_argument(
                "--iterations",
                type=int,
                default=environ.get("ITERATIONS") or None,
                help="training steps (ITERATIONS); the preset's own, and 7000 in scenes",
            )
            command.add_argument(
                "--gpus",
                type=int,
                default=environ.get("GPUS") or 1,
                help="GPUs of each training (GPUS)",
            )
            command.add_argument("--output", type=Path, default=REPOSITORY / "demo-output")
    return parser


if __name__ == "__main__":
    sys.exit(main())
