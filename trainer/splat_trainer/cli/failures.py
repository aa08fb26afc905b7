"""Turns any exception that ends a run into the one line and the exit code that users meet."""

import errno
import logging
import os
import sys

from splat_trainer.cli.interruption import Interrupted
from splat_trainer.contract import Reason, TrainerError

logger = logging.getLogger(__name__)

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_DENIED = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
_FAILING = frozenset(
    {
        errno.EIO,
        errno.ESTALE,
        errno.ENODEV,
        errno.ENXIO,
        errno.ENOTCONN,
        errno.EREMOTEIO,
        errno.ETIMEDOUT,
        errno.EHOSTDOWN,
        errno.EHOSTUNREACH,
    }
)


def explain(error: BaseException) -> TrainerError:
    """Give the failure that an exception amounts to.

    What nobody foresaw becomes InternalError, and its traceback goes to the log; it appears
    nowhere else.
    """
    if isinstance(error, TrainerError):
        return error
    if isinstance(error, Interrupted | KeyboardInterrupt):
        by = error.signal_name if isinstance(error, Interrupted) else "SIGINT"
        return TrainerError(
            Reason.INTERRUPTED, f"stopped by {by} before it had anything to save: run it again"
        )
    if isinstance(error, OSError):
        known = _explain_os_error(error)
        if known:
            return known
    if _is_gpu_out_of_memory(error):
        return TrainerError(
            Reason.OUT_OF_GPU_MEMORY,
            "out of GPU memory: lower --max-gaussians or --max-side, or use a larger GPU",
        )
    if isinstance(error, MemoryError) or "DefaultCPUAllocator" in str(error):
        return TrainerError(
            Reason.OUT_OF_MEMORY,
            "out of memory: lower --max-side or --max-gaussians, or give the run more memory",
        )
    logger.error("internal error", exc_info=error)
    what = " ".join(str(error).split())[:300]
    return TrainerError(
        Reason.INTERNAL_ERROR,
        f"internal error, {type(error).__name__}: {what}; the traceback is in the log, "
        "please report it",
    )


def _explain_os_error(error: OSError) -> TrainerError | None:
    where = f"{error.filename}: " if error.filename else ""
    if error.errno in _FULL:
        return TrainerError(
            Reason.STORAGE_UNAVAILABLE,
            f"{where}no space left: free some, or write to a larger volume, and run it again",
        )
    if error.errno in _DENIED:
        return TrainerError(
            Reason.STORAGE_DENIED,
            f"{where}{error.strerror}: let user {os.getuid()} "
            "read the capture and write the output",
        )
    if error.errno in _FAILING:
        return TrainerError(
            Reason.STORAGE_UNAVAILABLE, f"{where}storage failed: {error.strerror}; run it again"
        )
    return None


def _is_gpu_out_of_memory(error: BaseException) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(error, torch.OutOfMemoryError)
