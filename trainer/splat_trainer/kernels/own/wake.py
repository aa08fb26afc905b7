"""Triton, woken while PyTorch is imported: it reads itself, half a gigabyte, before it is used."""

import ctypes
import functools
import importlib
import threading
from contextlib import suppress


@functools.cache
def wake_triton(driver: str = "libcuda.so.1") -> threading.Thread:
    """Begin to import Triton and to make what its cache's keys begin with, where there is a driver.

    That is a digest of Triton's own files, most of it made without Python's lock. Gives the
    thread, the same one at each call; what fails in it is told by who uses Triton.
    """
    thread = threading.Thread(target=_wake, args=(driver,), name="triton", daemon=True)
    thread.start()
    return thread


def _wake(driver: str) -> None:
    with suppress(Exception):
        ctypes.CDLL(driver)
        # Later versions have it in the second place.
        for module in ("triton.compiler.compiler", "triton.runtime.cache"):
            key = getattr(importlib.import_module(module), "triton_key", None)
            if key is not None:
                key()  # which Triton remembers
                return
