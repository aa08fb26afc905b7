"""`splat-trainer train --gpus N`: starts a process for each GPU, and sees to their end.

This process does not train and never imports torch; the reason is in distributed/processes.py.
"""

import contextlib
import importlib
import tempfile
from pathlib import Path
from typing import Literal

from splat_trainer.capture.cores import usable_cores
from splat_trainer.cli.invocation import Invocation
from splat_trainer.cli.outputs import send_result_to
from splat_trainer.cli.workspace import open_scratch
from splat_trainer.contract import Reason, TrainerError
from splat_trainer.contract.config import Device
from splat_trainer.distributed.child import OURSELVES
from splat_trainer.distributed.gpu_count import visible_gpus
from splat_trainer.distributed.processes import Program, RankProcesses
from splat_trainer.kernels.places import private_folder
from splat_trainer.storage import open_output

RANKS = "ranks"
TEMPORARY = "tmp"


def run(invocation: Invocation) -> int:
    """Train on as many GPUs as `--gpus` says, and give the exit code of the run."""
    size, device = ranks_for(invocation.arguments.gpus, invocation.config().device)
    if size == 1:
        return int(importlib.import_module("splat_trainer.cli.commands.train").run(invocation))
    with open_scratch() as scratch:
        ranks, temporary = scratch / RANKS, scratch / TEMPORARY
        ranks.mkdir()
        temporary.mkdir()  # so that what a rank leaves that was killed goes with this folder
        program = _program(invocation, temporary, size, device)
        invocation.interruption.defer()
        try:
            with RankProcesses(program, size=size, device=device, folder=ranks) as processes:
                return processes.wait(invocation.interruption)
        except TrainerError:
            _tell_output_too(invocation)
            raise


def ranks_for(
    asked: int | Literal["auto"], device: Device, found: int | None = None
) -> tuple[int, Literal["cuda", "cpu"]]:
    """How many processes train, and on what; `found` GPUs are counted where None.

    On the CPU there are several only where they are asked for by number: they share its cores.
    """
    if device == "cpu":
        return (1 if asked == "auto" else asked), "cpu"
    found = visible_gpus() if found is None else found
    if asked == "auto":
        return max(1, found), "cuda"
    if asked > max(1, found):
        raise TrainerError(
            Reason.NO_GPU,
            f"--gpus {asked}: this process sees {found}: give the machine or pod as many whole "
            "GPUs (of MIG slices a process sees one), or ask for fewer",
        )
    return asked, "cuda"


def _program(
    invocation: Invocation, temporary: Path, size: int, device: Literal["cuda", "cpu"]
) -> Program:
    environ = {**invocation.environ, "TMPDIR": str(temporary)}
    if device == "cpu":
        environ.setdefault("OMP_NUM_THREADS", str(max(1, usable_cores() // size)))
    if private_folder(environ).parent == Path(tempfile.gettempdir()):
        # There is no home: ranks would not find in it what one of them compiles for all.
        environ["XDG_CACHE_HOME"] = str(temporary)
    verbose = ["--verbose"] if invocation.arguments.verbose else []
    return Program([*OURSELVES, *invocation.argv], [*OURSELVES, *verbose, "worker"], environ)


def _tell_output_too(invocation: Invocation) -> None:
    """Have the result put into the output, which rank 0 would have done."""
    arguments = invocation.arguments
    with contextlib.suppress(TrainerError):
        output = open_output(arguments.output, endpoint=arguments.endpoint_url)
        invocation.record.send_to(send_result_to(output))
