"""NVIDIA's driver, woken while PyTorch is imported: that is mostly Python, and this is none."""

import ctypes
import os
import threading
from contextlib import suppress


def wake_driver(library: str = "libcuda.so.1") -> threading.Thread:
    """Begin to make the first GPU's primary context, which PyTorch finds instead of making it.

    Gives the thread that does. What fails in it is PyTorch's to tell.
    """
    os.environ.setdefault("CUDA_MODULE_LOADING", "LAZY")  # as PyTorch would, now too late
    thread = threading.Thread(target=_make_context, args=(library,), name="driver", daemon=True)
    thread.start()
    return thread


def _make_context(library: str) -> None:
    """See the CUDA driver API: cuInit, cuDeviceGet, cuDevicePrimaryCtxRetain."""
    device, context = ctypes.c_int(), ctypes.c_void_p()
    with suppress(OSError, AttributeError):
        driver = ctypes.CDLL(library)
        if driver.cuInit(0) == 0 and driver.cuDeviceGet(ctypes.byref(device), 0) == 0:
            driver.cuDevicePrimaryCtxRetain(ctypes.byref(context), device)
