"""The command line: which commands there are and what each takes. Imports nothing heavy."""

import argparse
from pathlib import Path
from typing import Any, Literal, NoReturn, TypeAlias, get_args

from splat_trainer.cli.formats import FLAG as FORMATS_FLAG
from splat_trainer.cli.train_flags import add_config_flags
from splat_trainer.contract import ExitCode, Reason, SplatFormat, TrainerError
from splat_trainer.contract.config import Device
from splat_trainer.distributed.rank import Rank
from splat_trainer.report.machine import trainer_version


class _Parser(argparse.ArgumentParser):
    """Raises what argparse would print and exit with: main tells it like every failure."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"allow_abbrev": False, **kwargs})

    def error(self, message: str) -> NoReturn:
        raise TrainerError(Reason.INVALID_CONFIGURATION, f"{message} (see `{self.prog} --help`)")


def build_parser() -> argparse.ArgumentParser:
    """Build the parser; the namespace it gives has `command` and the command's own values."""
    parser = _Parser(
        prog="splat-trainer",
        description="Trains 3D Gaussian splats from photos that COLMAP has posed.",
        epilog="Exit codes: "
        + ", ".join(f"{code.value} {code.name.lower().replace('_', ' ')}" for code in ExitCode),
    )
    parser.add_argument("--version", action="version", version=f"splat-trainer {trainer_version()}")
    parser.add_argument("--verbose", action="store_true", help="Log more.")
    commands = parser.add_subparsers(
        dest="command", metavar="COMMAND", required=True, parser_class=_Parser
    )
    _add_train(commands)
    _add_eval(commands)
    _add_convert(commands)
    _add_inspect(commands)
    _add_synth(commands)
    _add_config(commands)
    _add_doctor(commands)
    _add_kernels(commands)
    # Started by train, and so not in the help.
    _add_rank(commands.add_parser("worker"), required=True)
    reader = commands.add_parser("reader")
    for number in ("--scene", "--pipe", "--parent"):
        reader.add_argument(number, type=int, required=True)
    return parser


_MEASURED_BY = ("max_side", "holdout_every", "allow_missing_images", "lens", "frame", "device")

_Commands: TypeAlias = "argparse._SubParsersAction[_Parser]"


def _add_train(commands: _Commands) -> None:
    parser = _add(commands, "train", "Train a splat from a capture.")
    _add_data(parser)
    parser.add_argument(
        "--output",
        required=True,
        metavar="PLACE",
        help="Where the splat, metrics, previews and report go: a folder or s3://bucket/prefix.",
    )
    parser.add_argument(
        "--checkpoints",
        metavar="PLACE",
        help="Where checkpoints are kept, a folder or s3://bucket/prefix of this run alone. "
        "[checkpoints/ in the output]",
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        help="Go on from the newest checkpoint there; without one, start anew.",
    )
    parser.add_argument(
        FORMATS_FLAG,
        metavar="NAME,...",
        help=f"Formats to write the splat in, of {', '.join(SplatFormat)}; ply is always written. "
        "[ply; or $SPLAT_FORMATS]",
    )
    _add_endpoint(parser)
    parser.add_argument(
        "--gpus",
        type=_gpus,
        default=1,
        metavar="{auto,N}",
        help="GPUs of this machine that train together, each on another view at every step; "
        "auto: all of them. With --device cpu, processes. [1]",
    )
    _add_rank(parser)
    parser.add_argument(
        "--progress",
        choices=("auto", "bar", "lines", "none"),
        default="auto",
        help="bar: for people; lines: one JSON document a second on standard output; "
        "auto: a bar on a terminal, else lines.",
    )
    parser.add_argument(
        "--progress-file", type=Path, metavar="FILE", help="Keep the newest progress in FILE too."
    )
    _add_settings(parser)


def _add_eval(commands: _Commands) -> None:
    parser = _add(commands, "eval", "Measure a splat against the photos of its capture.")
    parser.add_argument(
        "splat", type=Path, metavar="FILE", help="A 3DGS .ply, or a checkpoint (.pt)."
    )
    _add_data(parser)
    parser.add_argument(
        "--previews", type=Path, metavar="FOLDER", help="Write photos beside renders there."
    )
    parser.add_argument("--json", action="store_true", help="As one JSON document.")
    _add_endpoint(parser)
    _add_config_file(parser)
    lens = (
        "fit: undistort as trainings do whose lens is fit. model: by the model alone. [default: as "
        "metrics.json beside the splat, or the checkpoint, tells of its training; else model]"
    )
    add_config_flags(parser, "what to measure", _MEASURED_BY, {"lens": lens})


def _add_convert(commands: _Commands) -> None:
    parser = _add(commands, "convert", "Write a 3DGS PLY in another format.")
    parser.add_argument("splat", type=Path, metavar="IN.ply", help="A 3DGS .ply.")
    suffixes = ", ".join(format.suffix for format in SplatFormat)
    parser.add_argument(
        "target", type=Path, metavar="OUT", help=f"Its name says the format: {suffixes}."
    )


def _add_inspect(commands: _Commands) -> None:
    parser = _add(commands, "inspect", "Say what a capture holds and what is wrong with it.")
    _add_data(parser)
    parser.add_argument("--json", action="store_true", help="As one JSON document.")
    _add_endpoint(parser)


def _add_synth(commands: _Commands) -> None:
    parser = _add(commands, "synth", "Make a small capture with a known answer.")
    parser.add_argument("--output", required=True, type=Path, metavar="FOLDER")
    parser.add_argument("--views", type=_whole(2, 10_000), default=36, metavar="N", help="[36]")
    parser.add_argument(
        "--size", type=_whole(16, 8_192), default=128, metavar="N", help="Longest side. [128]"
    )
    parser.add_argument("--seed", type=_whole(0, 2**32 - 1), default=0, metavar="N", help="[0]")


def _add_config(commands: _Commands) -> None:
    parser = _add(commands, "config", "Show the configuration that a training would get.")
    parser.add_argument(
        "--print-schema", action="store_true", help="Print the JSON schema of the settings instead."
    )
    _add_settings(parser)


def _add_doctor(commands: _Commands) -> None:
    parser = _add(commands, "doctor", "Check whether this machine can train, and why not.")
    parser.add_argument("--json", action="store_true", help="As one JSON document.")
    parser.add_argument(
        "--output",
        type=Path,
        default=Path(),
        metavar="FOLDER",
        help="Folder whose free space counts. [the current one]",
    )
    parser.add_argument(
        "--device",
        choices=get_args(Device),
        default="auto",
        help="cuda: having no GPU is a fault; auto: it is only noted; cpu: no GPU is looked for.",
    )


def _add_kernels(commands: _Commands) -> None:
    parser = _add(commands, "kernels", "Build, check and clear a cache of compiled CUDA kernels.")
    actions = parser.add_subparsers(
        dest="action", metavar="ACTION", required=True, parser_class=_Parser
    )
    build = _add(actions, "build", "Compile gsplat's kernels into the cache; needs no GPU.")
    build.add_argument(
        "--architectures",
        nargs="+",
        required=True,
        metavar="A.B",
        help="Compute capabilities of the GPUs, such as 8.6 or 9.0+PTX.",
    )
    verify = _add(actions, "verify", "Read every build whole and compare it with its manifest.")
    list_ = _add(actions, "list", "Say which builds there are.")
    collect = _add(actions, "gc", "Delete builds, the longest unused first.")
    for one in (build, verify, list_, collect):
        one.add_argument("--cache", type=Path, required=True, metavar="FOLDER", help="The cache.")
    for one in (build, collect):
        one.add_argument(
            "--max-bytes",
            type=_whole(0, 2**63 - 1),
            required=one is collect,
            metavar="N",
            help="Delete builds until the rest is within this size.",
        )
        one.add_argument(
            "--in-use", nargs="+", default=[], metavar="KEY", help="Builds that stay in any case."
        )
    for one in (verify, list_, collect):
        one.add_argument("--json", action="store_true", help="As one JSON document.")


def _add(commands: _Commands, name: str, summary: str) -> argparse.ArgumentParser:
    return commands.add_parser(name, help=summary, description=summary)


def _add_data(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data",
        required=True,
        metavar="PLACE",
        help="The capture: a folder with images/ and sparse/0/, a .zip, .tar or .tar.gz of one, "
        "or either on S3 as s3://bucket/prefix.",
    )


def _add_endpoint(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--endpoint-url",
        metavar="URL",
        help="S3-compatible server, such as http://localhost:9000. [or $AWS_ENDPOINT_URL_S3]",
    )


def _add_settings(parser: argparse.ArgumentParser) -> None:
    _add_config_file(parser)
    add_config_flags(parser)


def _add_config_file(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help="Settings from a .json, .yaml or .yml file."
    )


def _add_rank(parser: argparse.ArgumentParser, *, required: bool = False) -> None:
    """What `train --gpus` tells the processes that it starts."""
    parser.add_argument("--rank", type=Rank.from_json, required=required, help=argparse.SUPPRESS)


def _gpus(text: str) -> int | Literal["auto"]:
    count: int = 0 if text == "auto" else _whole(1, 64)(text)
    return count or "auto"


def _whole(low: int, high: int) -> Any:
    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = low - 1
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"must be a whole number from {low} to {high}")
        return value

    return parse
