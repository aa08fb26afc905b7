"""GPU memory that another process reads: CUDA's legacy inter-process handles, by the driver.

By ctypes, as PyTorch's own way would make a context on every other GPU, of half a gigabyte each.
"""

import ctypes

import torch
from torch import Tensor

_READ_FROM_ANOTHER_GPU = 1  # CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS
_HANDLE_BYTES = 64

TOLD_BYTES = _HANDLE_BYTES + 8
"""What another process must know: a handle, and where in its memory a tensor begins."""


class _Handle(ctypes.Structure):
    _fields_ = (("reserved", ctypes.c_char * _HANDLE_BYTES),)


def told(tensor: Tensor) -> bytes:
    """What another process needs to `open` a tensor's memory.

    Raises:
        RuntimeError: the driver does not give it away.
    """
    address = ctypes.c_uint64(tensor.data_ptr())
    base, handle = ctypes.c_uint64(), _Handle()
    driver = _driver(tensor.device)
    _call(driver, "cuMemGetAddressRange_v2", ctypes.byref(base), None, address)
    _call(driver, "cuIpcGetMemHandle", ctypes.byref(handle), address)
    return bytes(handle) + (address.value - base.value).to_bytes(8, "little")


class Opened:
    """Memory of another process, which has `told` of it, where a device of this one finds it."""

    def __init__(self, what: bytes, device: torch.device) -> None:
        """Open it.

        Raises:
            RuntimeError: the device cannot read the other one's memory.
        """
        self._driver = _driver(device)
        self._base = ctypes.c_uint64()
        handle = _Handle.from_buffer_copy(what[:_HANDLE_BYTES])
        _call(
            self._driver,
            "cuIpcOpenMemHandle_v2",
            ctypes.byref(self._base),
            handle,
            ctypes.c_uint(_READ_FROM_ANOTHER_GPU),
        )
        self.address = self._base.value + int.from_bytes(what[_HANDLE_BYTES:], "little")

    def close(self) -> None:
        """Let go of it; nothing on the device may read it any more."""
        _call(self._driver, "cuIpcCloseMemHandle", self._base)


def _driver(device: torch.device) -> ctypes.CDLL:
    """The driver's library, with PyTorch's context on the device current in this thread."""
    torch.cuda.set_device(device)
    torch.cuda.current_stream(device).synchronize()
    try:
        return ctypes.CDLL("libcuda.so.1")
    except OSError as error:
        raise RuntimeError(f"there is no CUDA driver: {error}") from error


def _call(driver: ctypes.CDLL, name: str, *arguments: object) -> None:
    code = getattr(driver, name)(*arguments)
    if code:
        raise RuntimeError(f"{name} failed: CUDA driver error {code}")
