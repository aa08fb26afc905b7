"""What holds for every process that this program starts of itself."""

import ctypes
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

OURSELVES = (sys.executable, "-P", "-m", "splat_trainer.cli")
"""This program; -P: nothing is imported from whatever folder the user stands in."""

_PR_SET_PDEATHSIG = 1  # prctl(2): a signal to this process when its parent dies
_STOP = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def stop_signals_blocked() -> Iterator[None]:
    """What is started inside hears of these once it can say how it ends, and not before."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _STOP)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def leave_stopping_to_parent() -> None:
    """Ignore requests to stop: the parent ends this process, also where they go to all at once."""
    for number in _STOP:
        signal.signal(number, signal.SIG_IGN)


def die_with(parent: int) -> None:
    """Have the kernel kill this process, whatever it does, once `parent` is gone."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it died before this process could be bound to it
        os.kill(os.getpid(), signal.SIGKILL)
