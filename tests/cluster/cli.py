"""`python -m tests.cluster`: the cluster from the command line."""

from __future__ import annotations

import argparse
import re
import signal
import subprocess
import sys
from pathlib import Path

from tests.cluster import api, building, client, lifecycle, pack
from tests.cluster.errors import ClusterError
from tests.cluster.layout import Layout
from tests.cluster.loading import load_image
from tests.cluster.processes import inside, supervisor_pid
from tests.cluster.supervisor import read_status, tail
from tests.cluster.tools import of_cluster


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except ClusterError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.cluster", description=__doc__)
    named = argparse.ArgumentParser(add_help=False)
    named.add_argument("--name", default="dev", help="which cluster (default: %(default)s)")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    up = commands.add_parser("up", parents=[named], help="start it, or see that it runs")
    up.add_argument("--gpus", type=int, help="GPUs to pretend where there is none (default: 2)")
    up.add_argument("--tools", type=Path, metavar="FOLDER", help="an unpacked archive of `pack`")
    up.set_defaults(run=_up)

    for name, run, text in (
        ("down", _down, "end it and remove all that it had"),
        ("status", _status, "how each component is; exit code 0 if all are well, 3 if not up"),
        ("kubeconfig", _kubeconfig, "the path of the administrator's kubeconfig"),
    ):
        commands.add_parser(name, parents=[named], help=text).set_defaults(run=run)

    load = commands.add_parser("load-image", parents=[named], help="give it images, without pull")
    load.add_argument("archives", type=Path, nargs="+", help="docker or OCI archives")
    load.set_defaults(run=_load_image)

    logs = commands.add_parser("logs", parents=[named], help="the end of components' logs")
    logs.add_argument("component", nargs="?", help="default: all of them")
    logs.add_argument("--lines", type=int, default=20)
    logs.set_defaults(run=_logs)

    for name, run, text in (
        ("kubectl", _kubectl, "kubectl as administrator"),
        ("helm", _helm, "helm as administrator"),
        ("exec", _exec, "a command within the cluster's namespaces"),
    ):
        passed_on = commands.add_parser(name, parents=[named], help=text)
        passed_on.add_argument("arguments", nargs=argparse.REMAINDER)
        passed_on.set_defaults(run=run)

    forward = commands.add_parser(
        "forward", parents=[named], help="reach a pod or Service at a port of this machine"
    )
    forward.add_argument("target", help="POD or svc/NAME")
    forward.add_argument("port", type=int)
    forward.add_argument("--namespace", default="default")
    forward.set_defaults(run=_forward)

    gpu = commands.add_parser("gpu", parents=[named], help="make a pretended GPU ill, or well")
    gpu.add_argument("device", help="gpu-0, gpu-1, ...")
    gpu.add_argument("health", choices=["ill", "well"])
    gpu.set_defaults(run=_gpu)

    packing = commands.add_parser("pack", help="one archive of all tools, for `up --tools`")
    packing.add_argument("archive", type=Path, metavar="OUT.tar.xz")
    packing.add_argument(
        "--with",
        dest="extras",
        action="append",
        default=[],
        choices=pack.OPTIONAL,
        help="also this",
    )
    packing.set_defaults(run=_pack)

    tools = commands.add_parser("tools", help="install and build what it is made of, if need be")
    tools.set_defaults(run=_tools)

    s3 = commands.add_parser("s3-binary", help="the path of the static S3 server, versitygw")
    s3.set_defaults(run=_s3_binary)
    return parser


def _tools(_: argparse.Namespace) -> int:
    lifecycle.find_tools(None)
    return 0


def _up(options: argparse.Namespace) -> int:
    lifecycle.up(options.name, options.gpus, options.tools)
    return 0


def _down(options: argparse.Namespace) -> int:
    lifecycle.down(options.name)
    return 0


def _status(options: argparse.Namespace) -> int:
    layout = Layout.of(options.name)
    if supervisor_pid(layout) is None:
        print(f"cluster {options.name!r} is not up")
        return 3
    known = read_status(layout)
    for name, now in known.items():
        detail = f" ({now.ended})" if now.ended else f" after {now.seconds} s"
        print(f"{name:24} {now.state}{detail if now.ended or now.seconds else ''}")
    if ended := lifecycle.failure(layout, known):
        print(ended)
        return 1
    lacking = lifecycle.node_lacks(layout) if api.ready(layout) else ["the API server"]
    for what in lacking:
        print(f"waiting for {what}")
    return 1 if lacking else 0


def _kubeconfig(options: argparse.Namespace) -> int:
    print(_running(options).kubeconfig)
    return 0


def _load_image(options: argparse.Namespace) -> int:
    for archive in options.archives:
        for name in load_image(Layout.of(options.name), archive):
            print(name)
    return 0


def _logs(options: argparse.Namespace) -> int:
    layout = Layout.of(options.name)
    logs = sorted(layout.logs.glob(f"{options.component or '*'}.log"))
    if not logs:
        raise ClusterError(f"no log of {options.component or 'any component'} in {layout.logs}")
    for log in logs:
        if len(logs) > 1:
            print(f"--- {log.stem}")
        print(tail(log, options.lines))
    return 0


def _kubectl(options: argparse.Namespace) -> int:
    return _run_tool(options, "kubectl")


def _helm(options: argparse.Namespace) -> int:
    return _run_tool(options, "helm")


def _run_tool(options: argparse.Namespace, program: str) -> int:
    layout = _running(options)
    command = [of_cluster(layout).program(program), *_without_dashes(options.arguments)]
    return subprocess.run(command, env=layout.client_environment(), check=False).returncode


def _exec(options: argparse.Namespace) -> int:
    layout = _running(options)
    tools = of_cluster(layout)
    command = _without_dashes(options.arguments) or ["sh"]
    environment = {**tools.environment(), "KUBECONFIG": str(layout.kubeconfig_of("admin"))}
    return subprocess.run(inside(layout, command), env=environment, check=False).returncode


def _forward(options: argparse.Namespace) -> int:
    reached = client.own(_running(options)).forwarded(
        options.target, options.port, options.namespace
    )
    with reached as address:
        print(address, flush=True)
        signal.pause()
    return 0


def _gpu(options: argparse.Namespace) -> int:
    layout = _running(options)
    if not re.fullmatch(r"gpu-\d+", options.device):
        raise ClusterError(f"no GPU is named {options.device!r}: they are gpu-0, gpu-1, ...")
    illness = layout.gpu_health / options.device
    if options.health == "ill":
        illness.touch()
    else:
        illness.unlink(missing_ok=True)
    return 0


def _pack(options: argparse.Namespace) -> int:
    pack.pack(options.archive, options.extras)
    size = options.archive.stat().st_size / 1e6
    print(f"{options.archive}: {size:.1f} MB; unpack it, then `up --tools FOLDER`")
    return 0


def _s3_binary(options: argparse.Namespace) -> int:
    del options
    print(building.built() / "bin" / "versitygw")
    return 0


def _without_dashes(arguments: list[str]) -> list[str]:
    return arguments[1:] if arguments[:1] == ["--"] else arguments


def _running(options: argparse.Namespace) -> Layout:
    layout = Layout.of(options.name)
    if supervisor_pid(layout) is None:
        raise ClusterError(
            f"cluster {options.name!r} is not up: "
            f"`{Path(sys.executable).name} -m tests.cluster up --name {options.name}`"
        )
    return layout
