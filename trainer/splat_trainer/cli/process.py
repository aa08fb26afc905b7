"""`splat-trainer` as a process, which ends at once when all is done.

Python would first take apart what is left, and wait for what does not end, or break it off where
that aborts the process:

- the thread that gets a training ready (getting_ready.py), which may be in the middle of PyTorch;
- downloads that nobody waits for any more (storage/fetch.py);
- the process group of several ranks, whose threads are waited for while Python's lock is held;
  where one of them wants that lock, as gloo's at times does, the wait is for ever;
- PyTorch and the GPU's memory, which the kernel frees in no time: half a second.
"""

import codecs
import io
import json
import logging
import os
import signal
import sys
from typing import NoReturn


def main() -> NoReturn:
    """Run `splat-trainer` with this process's arguments, and end the process with its code."""
    # Before the rest is imported: the first process of a container never hears of a signal that
    # it has no handler for yet, unless that is blocked. The command lets it through.
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM, signal.SIGINT))
    _open_what_is_closed()
    _write_any_text()
    from splat_trainer.cli import main as command  # noqa: PLC0415
    from splat_trainer.cli.interruption import Interrupted  # noqa: PLC0415
    from splat_trainer.contract import ExitCode  # noqa: PLC0415

    try:
        code = command.main()
    except Interrupted:  # asked again, as the last words were said
        code = int(ExitCode.INTERRUPTED)
    logging.shutdown()
    sys.stderr.flush()
    os._exit(code)


def _open_what_is_closed() -> None:
    """Have standard streams, be it to nowhere: files that are opened would get their numbers."""
    for number, mode in enumerate("rww"):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest that is free
            os.set_inheritable(number, True)
            name = ("stdin", "stdout", "stderr")[number]
            setattr(sys, name, open(number, mode, encoding="utf-8"))  # noqa: SIM115, PTH123


def _write_any_text() -> None:
    """Have output show what its encoding lacks as backslashes, as standard error always does.

    In JSON's way, unlike Python's own backslashreplace: documents stay JSON.
    """
    codecs.register_error("json", _as_json_does)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="json")


def _as_json_does(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return json.dumps(error.object[error.start : error.end])[1:-1], error.end
