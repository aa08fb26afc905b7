"""The entry point: parses, runs the command, and tells how it ended in one place."""

import contextlib
import importlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from splat_trainer.cli import logs
from splat_trainer.cli.failures import explain
from splat_trainer.cli.interruption import Interrupted, Interruption
from splat_trainer.cli.invocation import Invocation
from splat_trainer.cli.parser import build_parser
from splat_trainer.cli.result import RunRecord, write_in_place
from splat_trainer.contract import environment
from splat_trainer.distributed.rank import Rank
from splat_trainer.kernels.places import keep_other_caches_private
from splat_trainer.report.machine import process_started

_READER_GONE = 141  # what a shell shows for a process that SIGPIPE ended


def main(argv: Sequence[str] | None = None) -> int:
    """Run `splat-trainer` with `argv` (by default, this process's) and give its exit code.

    Each failure ends here: one line on standard error, the result document wherever it is asked
    for, and the exit code of contract/exit_codes.py.
    """
    logs.configure(verbose=False)
    record = RunRecord(process_started())
    result_path = os.environ.get(environment.RESULT_PATH, "").strip()
    if result_path:
        record.send_to(write_in_place(Path(result_path)))
    with Interruption() as interruption:
        try:
            interruption.let_through()
            code = _run(argv, interruption, record)
        except SystemExit as exit_:  # argparse, after --help and --version
            code = int(exit_.code or 0)
        except BrokenPipeError:
            code = _READER_GONE
        except BaseException as error:  # an interruption, too, has a code and a document
            interruption.defer()
            code = _fail(error, record)
        _flush_standard_output()
    return code


def _run(argv: Sequence[str] | None, interruption: Interruption, record: RunRecord) -> int:
    argv = sys.argv[1:] if argv is None else argv
    arguments = build_parser().parse_args(argv)
    logs.configure(arguments.verbose)
    rank: Rank | None = getattr(arguments, "rank", None)
    if rank is not None:
        rank.die_with_parent()
        interruption.forwarded()
    # Read once, as torch is imported. OpenMP's threads else spin while they wait for each other:
    # beside other work, training on two cores of a CPU took eight times as long.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    keep_other_caches_private(os.environ)
    # Each command in a module of its own: `config` must not pay for torch.
    name = arguments.command
    if name == "train" and arguments.gpus != 1 and rank is None:
        name = "train_on_gpus"
    command = importlib.import_module(f"splat_trainer.cli.commands.{name}")
    return int(command.run(Invocation(arguments, os.environ, interruption, record, argv)))


def _fail(error: BaseException, record: RunRecord) -> int:
    failure = explain(error)
    with contextlib.suppress(Interrupted):  # asked twice: not all need to be told
        record.tell(record.failed(failure))
    message = " ".join(failure.message.split())
    with contextlib.suppress(OSError):
        print(f"splat-trainer: error: {message}", file=sys.stderr, flush=True)
    return int(failure.exit_code)


def _flush_standard_output() -> None:
    """Flush, or forget what cannot be: a reader that has gone makes no finished run a failure."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
