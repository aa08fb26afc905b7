"""Compiles an extension's installed sources for named GPUs, in scratch, with no GPU at hand.

The compilers run below a process of its own, which ends them all when this one dies, however it
dies: a builder that is killed leaves no compiler behind that nobody waits for.
"""

import json
import logging
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from splat_trainer.contract import Reason, TrainerError
from splat_trainer.contract.failure import shown
from splat_trainer.kernels.extension import LIBRARY, LIBRARY_NAME, Extension
from splat_trainer.kernels.toolchain import Toolchain, jobs

logger = logging.getLogger(__name__)

LOG = "build.log"

_LOG_LINES_TOLD = 40
_ERROR = re.compile(r"\b(fatal error|error|undefined reference|No space left on device)\b[: ]")
_KILLED = re.compile(r"\bKilled\b|signal 9|terminated by signal|out of memory", re.IGNORECASE)
_STEP = re.compile(r"^\[(\d+)/(\d+)\] ")
_NOT_PRINTABLE = re.compile(r"\x1b\[[0-9;]*[A-Za-z]|[^\t\n\x20-\x7e\u00a0-\uffff]")

Progress = Callable[[int, int], None]
"""Told after each compiled file how many of how many are done."""


class CompileError(TrainerError):
    """The compiler failed; `log` is the end of what it said, in lines."""

    def __init__(self, reason: Reason, message: str, log: str) -> None:
        super().__init__(reason, message)
        self.log = log


@dataclass(frozen=True)
class Compiled:
    """What a compiler made, still in scratch."""

    library: Path
    log: Path
    seconds: float


def compile_extension(
    extension: Extension,
    architectures: tuple[str, ...],
    toolchain: Toolchain,
    scratch: Path,
    environ: Mapping[str, str],
    progress: Progress | None = None,
) -> Compiled:
    """Compile and link; `scratch` is this caller's own, empty folder.

    Raises:
        CompileError: the compiler did.
    """
    started = time.monotonic()
    build = scratch / "build"
    build.mkdir()
    order = {
        "name": LIBRARY_NAME,
        "sources": [str(path) for path in extension.sources],
        "extra_cflags": list(extension.cflags),
        "extra_cuda_cflags": list(extension.cuda_cflags),
        "extra_include_paths": [str(path) for path in extension.include_folders],
        "extra_ldflags": _runtime_by_its_development_name(toolchain, scratch),
        "build_directory": str(build),
    }
    count = jobs(environ)
    logger.info(
        "compiling %d files for %s, %d at once, by %s",
        len(extension.sources),
        " ".join(architectures),
        count,
        toolchain.identity,
    )
    environment = toolchain.environment(environ) | {
        "TORCH_CUDA_ARCH_LIST": ";".join(architectures),
        "MAX_JOBS": str(count),
        "CXX": str(toolchain.cxx),
        "PATH": os.pathsep.join(  # ninja lies beside the Python that it was installed for
            [str(Path(sys.executable).parent), toolchain.environment(environ).get("PATH", "")]
        ),
        "TMPDIR": str(scratch),
        "PYTHONUNBUFFERED": "1",
    }
    log = scratch / LOG
    code = _run(order, environment, log, progress)
    library = build / LIBRARY
    if code or not library.is_file():
        raise _failure(log, scratch, code)
    return Compiled(library, log, time.monotonic() - started)


def _run(
    order: Mapping[str, object],
    environment: Mapping[str, str],
    log: Path,
    progress: Progress | None,
) -> int:
    """Run the worker to its end, its words into `log`; an exception here ends it at once."""
    command = [sys.executable, "-m", "splat_trainer.kernels.compile_worker", str(os.getpid())]
    with (
        log.open("w", encoding="utf-8") as written,
        subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=dict(environment),
            start_new_session=True,
            text=True,
            errors="replace",
        ) as worker,
    ):
        try:
            assert worker.stdin and worker.stdout  # noqa: S101 - both are pipes
            worker.stdin.write(json.dumps(order))
            worker.stdin.close()
            for line in worker.stdout:
                written.write(line)
                step = _STEP.match(line)
                if step and progress:
                    progress(int(step[1]), int(step[2]))
            return worker.wait()
        finally:
            if worker.poll() is None:
                os.killpg(worker.pid, signal.SIGKILL)


def _runtime_by_its_development_name(toolchain: Toolchain, scratch: Path) -> list[str]:
    """Flags of the linker where -lcudart would find nothing: nvcc's wheels lack that name."""
    if toolchain.cuda_home is None:
        return []
    folders = [toolchain.cuda_home / "lib64", toolchain.cuda_home / "lib"]
    if any((folder / "libcudart.so").exists() for folder in folders):
        return []
    versioned = [path for folder in folders for path in folder.glob("libcudart.so.*")]
    if not versioned:
        return []
    links = scratch / "lib"
    links.mkdir()
    (links / "libcudart.so").symlink_to(versioned[0])
    return [f"-L{links}"]


def _failure(log: Path, scratch: Path, code: int) -> CompileError:
    text = _NOT_PRINTABLE.sub("", log.read_text(encoding="utf-8", errors="replace"))
    lines = [line.replace(str(scratch), ".") for line in text.splitlines()]
    told = "\n".join(line[:300] for line in lines[-_LOG_LINES_TOLD:])
    if code < 0 or any(_KILLED.search(line) for line in lines[-_LOG_LINES_TOLD:]):
        return CompileError(
            Reason.OUT_OF_MEMORY,
            "the compiler of the CUDA kernels was killed: give it more memory, or set MAX_JOBS=1",
            told,
        )
    error = next((line for line in lines if _ERROR.search(line)), f"it ended with code {code}")
    return CompileError(
        Reason.KERNELS_NOT_COMPILED,
        f"the CUDA kernels did not compile: {shown(error.strip())}",
        told,
    )
