"""`python -m deploy.demo up|down`: what `make demo` and `make demo-down` run."""

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from deploy.demo import current_cluster, own_cluster
from deploy.demo.captures import capture_to_train
from deploy.demo.manifests import TrainingRequest
from deploy.demo.stages import DemoError, Stages
from deploy.demo.story import REPOSITORY, tell

Choice = TypeVar("Choice")


def main() -> int:
    """Run the command; gives the exit code."""
    arguments = _parser(os.environ).parse_args()
    try:
        if arguments.command == "down":
            _down(arguments)
        else:
            _up(arguments)
    except DemoError as error:
        print(f"\ndemo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ndemo: stopped; `make demo-down` removes the cluster", file=sys.stderr)
        return 130
    return 0


def _up(arguments: argparse.Namespace) -> None:
    stages = Stages()
    with tempfile.TemporaryDirectory(prefix="splat-demo-") as scratch:
        if arguments.cluster == "current":
            cluster = current_cluster.find(os.environ, Path(scratch))
            current_cluster.see_that_nobody_is_disturbed(cluster)
            images = current_cluster.reachable_images(cluster, os.environ, stages)
            kube = cluster.kube
        else:
            kube = own_cluster.bring_up(stages)
            images = own_cluster.build_images(stages)
        capture = capture_to_train(arguments.capture, Path(scratch), stages)
        request = TrainingRequest(
            iterations=arguments.iterations,
            max_side=arguments.max_side,
            max_gaussians=arguments.max_gaussians,
            gpus=arguments.gpus,
            cpu="1",
            memory="6Gi",
        )
        tell(kube, images, capture, request, arguments.output, stages, arguments.timeout)
    print(f"\nTime by stage:\n{stages.table()}")
    current = arguments.cluster == "current"
    print(f"\nLook around:  {'kubectl get splat -A' if current else own_cluster.HINT}")
    print(f"Remove it all:  make demo-down{' CLUSTER=current' if current else ''}")


def _down(arguments: argparse.Namespace) -> None:
    if arguments.cluster == "current":
        with tempfile.TemporaryDirectory(prefix="splat-demo-") as scratch:
            current_cluster.remove(current_cluster.find(os.environ, Path(scratch)))
    else:
        own_cluster.remove()


def _parser(environ: Mapping[str, str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="bring the cluster up and train a capture on it")
    up.add_argument(
        "--capture",
        type=Path,
        default=environ.get("CAPTURE") or None,
        help="folder with images/ and sparse/ (CAPTURE); default: a synthetic capture",
    )
    up.add_argument(
        "--iterations",
        type=int,
        default=environ.get("ITERATIONS") or 300,
        help="training steps (ITERATIONS)",
    )
    up.add_argument(
        "--max-side",
        type=int,
        default=environ.get("MAX_SIDE") or 128,
        help="longest side of the images, in pixels (MAX_SIDE)",
    )
    up.add_argument("--max-gaussians", type=int, default=20_000)
    up.add_argument("--output", type=Path, default=REPOSITORY / "demo-output")
    up.add_argument("--timeout", type=float, default=1800, help="seconds for the training")
    up.add_argument(
        "--gpus",
        type=_one_of(0, 1),
        default=environ.get("GPUS") or "0",
        help="GPUs of the training (GPUS)",
    )
    down = commands.add_parser("down", help="remove the demo")
    for command in (up, down):
        command.add_argument(
            "--cluster",
            type=_one_of("own", "current"),
            default=environ.get("CLUSTER") or "own",
            help="the project's own cluster, or that of the current kubeconfig context (CLUSTER)",
        )
    return parser


def _one_of(*choices: Choice) -> Callable[[str], Choice]:
    """Read one of these; unlike argparse's own `choices` also where it is the default."""

    def read(text: str) -> Choice:
        for choice in choices:
            if text == str(choice):
                return choice
        raise argparse.ArgumentTypeError(f"{text!r} is none of {', '.join(map(str, choices))}")

    return read


if __name__ == "__main__":
    sys.exit(main())
