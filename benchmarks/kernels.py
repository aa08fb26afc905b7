"""Seconds from a process's start to its first training step, by where its kernels come from.

    python -m benchmarks.kernels [--repeat 5] [--json FILE]

On a machine with an NVIDIA GPU and nvcc. `splat-trainer kernels build` fills a cache with no GPU
to be seen; then trainings start with nothing compiled (cold), with that cache (cached), and with
the same build in the place where an image has it (image). The last two find neither nvcc nor
ninja, and may not compile. Cached and image starts take turns, after one of each that is not
counted. Every process has an interpreter with the packages of this one, and an empty home, as a
new pod has: what Triton compiles for itself is not there.
"""

import argparse
import json
import os
import platform
import shutil
import site
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path
from typing import Any

_PLAIN_PATH = "/usr/bin:/bin"


def main() -> None:
    """Build, start, and print one table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--json", type=Path, help="write machine and rows to this file")
    parser.add_argument("--child", nargs=2, metavar=("CAPTURE", "STARTED"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        _first_step(Path(arguments.child[0]), float(arguments.child[1]))
    with tempfile.TemporaryDirectory() as folder:
        document = _measure(Path(folder), arguments.repeat)
    print(json.dumps(document["machine"]))
    print(_table(document))
    if arguments.json:
        arguments.json.write_text(json.dumps(document, indent=1) + "\n")


def _measure(folder: Path, repeat: int) -> dict[str, Any]:
    plain, image = (_interpreter(folder / name) for name in ("plain", "image"))
    capture, cache = folder / "capture", folder / "cache"
    _trainer(plain, folder, "synth", "--output", str(capture))
    build_arguments = ("build", "--cache", str(cache), "--architectures", _architecture())
    said = _trainer(plain, folder, "kernels", *build_arguments, CUDA_VISIBLE_DEVICES="")
    build = json.loads(said.splitlines()[-1])
    print(f"# {json.dumps(build)}", file=sys.stderr, flush=True)
    shutil.copytree(cache, folder / "image" / "kernels")

    cold = _start(plain, capture, folder / "cold-home", PATH=_path_of_tools())
    print(f"# cold {json.dumps(cold)}", file=sys.stderr, flush=True)
    for tool in ("nvcc", "ninja"):
        assert shutil.which(tool, path=_PLAIN_PATH) is None, f"{tool} is in {_PLAIN_PATH}"
    without = {"PATH": _PLAIN_PATH, "CUDA_HOME": "/none", "SPLAT_KERNELS_ON_MISS": "fail"}
    rows: dict[str, list[dict[str, Any]]] = {"cold": [cold], "cached": [], "image": []}
    for number in range(repeat + 1):
        homes = [folder / f"home-{number}-{name}" for name in ("cached", "image")]
        cached = _start(plain, capture, homes[0], **without, SPLAT_KERNELS_DIR=str(cache))
        of_image = _start(image, capture, homes[1], **without)
        for name, row in (("cached", cached), ("image", of_image)):
            print(f"# {number} {name} {json.dumps(row)}", file=sys.stderr, flush=True)
            if number:
                rows[name].append(row)
    sources = {name: {row["kernels"]["source"] for row in found} for name, found in rows.items()}
    assert sources == {"cold": {"Compiled"}, "cached": {"Cache"}, "image": {"Image"}}, sources
    machine = {"cores": len(os.sched_getaffinity(0)), "python": platform.python_version()}
    return {"machine": machine | cold["machine"], "build": build, "rows": rows}


def _table(document: dict[str, Any]) -> str:
    lines = [
        "| kernels | first step after s, median | least | most | kernels' part s | starts |",
        "|---|---|---|---|---|---|",
    ]
    for name, rows in document["rows"].items():
        seconds = [row["first_step"] for row in rows]
        part = statistics.median(row["kernels"]["seconds"] for row in rows)
        lines.append(
            f"| {name} | {statistics.median(seconds):.2f} | {min(seconds):.2f} "
            f"| {max(seconds):.2f} | {part:.2f} | {len(rows)} |"
        )
    return "\n".join(lines)


def _interpreter(folder: Path) -> Path:
    """An interpreter with this one's packages and a prefix of its own, as an image has."""
    venv.create(folder, symlinks=True)
    packages = next((folder / "lib").glob("python3*/site-packages"))
    lines = [f"import site; site.addsitedir({path!r})" for path in site.getsitepackages()]
    (packages / "benchmark.pth").write_text("\n".join(lines) + "\n")
    return folder / "bin" / "python"


def _trainer(python: Path, folder: Path, *arguments: str, **environ: str) -> str:
    command = [str(python), "-m", "splat_trainer.cli", *arguments]
    done = subprocess.run(
        command,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "HOME": str(folder), "PATH": _path_of_tools(), **environ},
    )
    return done.stdout


def _path_of_tools() -> str:
    """With ninja, which may lie beside this interpreter alone."""
    return f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"


def _architecture() -> str:
    """Compute capability of the first GPU, such as 9.0, asked in a process of its own."""
    program = "import torch; print('%d.%d' % torch.cuda.get_device_capability())"
    command = [sys.executable, "-c", program]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def _start(python: Path, capture: Path, home: Path, **environ: str) -> dict[str, Any]:
    home.mkdir(exist_ok=True)
    kept = {k: v for k, v in os.environ.items() if not k.startswith("SPLAT_")}
    command = [str(python), "-m", "benchmarks.kernels", "--child", str(capture), repr(time.time())]
    done = subprocess.run(
        command,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        env={**kept, "HOME": str(home), **environ},
    )
    row: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return row


def _first_step(capture: Path, started: float) -> None:
    """Train for one step in this process, tell when it was done, and end."""
    import torch  # noqa: PLC0415 - its import is part of what is measured

    from splat_trainer.capture.load import load_scene  # noqa: PLC0415
    from splat_trainer.contract import ProgressDocument, Stage, TrainConfig  # noqa: PLC0415
    from splat_trainer.kernels.ensure import kernels_used  # noqa: PLC0415
    from splat_trainer.kernels.places import keep_other_caches_private  # noqa: PLC0415
    from splat_trainer.train.loop import train  # noqa: PLC0415

    class Observer:
        def stage(self, stage: Stage) -> None:
            pass

        def progress(self, document: ProgressDocument) -> None:
            pass

    keep_other_caches_private(os.environ)
    steps = 0

    def after_a_step() -> bool:
        nonlocal steps
        if steps:
            torch.cuda.synchronize()
            used = kernels_used()
            assert used is not None
            row = {
                "first_step": time.time() - started,
                "kernels": used.model_dump(mode="json"),
                "machine": {"gpu": torch.cuda.get_device_name(), "torch": torch.__version__},
            }
            print(json.dumps(row), flush=True)
            os._exit(0)
        steps += 1
        return False

    config = TrainConfig(iterations=1000)
    scene = load_scene(capture, config)
    train(
        scene,
        config,
        work_dir=Path(tempfile.mkdtemp()),
        observer=Observer(),
        stop=after_a_step,
    )


if __name__ == "__main__":
    main()
