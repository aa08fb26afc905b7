"""The process below which compilers run: `python -m splat_trainer.kernels.compile_worker PARENT`.

Reads the arguments of torch.utils.cpp_extension.load from standard input as JSON. It dies with
the process PARENT, and all that runs below it dies with it.
"""

import ctypes
import json
import os
import signal
import sys
from types import FrameType

_PR_SET_PDEATHSIG = 1  # prctl(2): a signal to this process when its parent dies


def main() -> None:
    """Compile and link, then load what was made: what does not load is not finished."""
    parent = int(sys.argv[1])
    signal.signal(signal.SIGTERM, _end_all)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:  # it died before it could be watched
        _end_all(signal.SIGTERM, None)
    order = json.load(sys.stdin)
    from torch.utils import cpp_extension  # noqa: PLC0415 - not before the signal is handled

    try:
        cpp_extension.load(**order, verbose=True)
    except (RuntimeError, OSError, ImportError) as error:
        sys.exit(f"{type(error).__name__}: {error}")


def _end_all(number: int, frame: FrameType | None) -> None:
    """Kill the process group, of which this process is the leader."""
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main()
