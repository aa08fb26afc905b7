"""`splat-trainer` as a process, which ends at once when all is done.

Python would first take apart what is left, and wait for what does not end, or break it off where
that aborts the process:

- the thread that gets a training ready (getting_ready.py), which may be in the middle of PyTorch;
- the process group of several ranks, whose threads are waited for while Python's lock is held;
  where one of them wants that lock, as gloo's at times does, the wait is for ever;
- PyTorch and the GPU's memory, which the kernel frees in no time: half a second.
"""

import logging
import os
import sys
from typing import NoReturn

from splat_trainer.cli import main as command


def main() -> NoReturn:
    """Run `splat-trainer` with this process's arguments, and end the process with its code."""
    code = command.main()
    logging.shutdown()
    sys.stderr.flush()
    os._exit(code)
