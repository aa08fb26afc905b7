"""How many GPUs this process sees, asked of the driver: torch, which knows too, takes seconds."""

import ctypes


def visible_gpus(library: str = "libcuda.so.1") -> int:
    """Count as CUDA does: CUDA_VISIBLE_DEVICES counts, and of MIG slices only the first.

    0 where there is no driver. No GPU's memory is touched (CUDA driver API, cuDeviceGetCount).
    """
    count = ctypes.c_int(0)
    try:
        driver = ctypes.CDLL(library)
        if driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count)):
            return 0
    except (OSError, AttributeError):
        return 0
    return count.value
