"""How many processors this process may use: the machine's, or its container's."""

import math
import os
from pathlib import Path


def usable_cores(quota_file: Path = Path("/sys/fs/cgroup/cpu.max")) -> int:
    """Cores that the scheduler's mask and the control group's quota leave, at least 1.

    `quota_file` holds "QUOTA PERIOD" in microseconds, or "max PERIOD" (Linux, cgroup-v2.rst).
    """
    cores = len(os.sched_getaffinity(0))
    try:
        quota, period = quota_file.read_text().split()
        limit = cores if quota == "max" else math.ceil(int(quota) / int(period))
    except (OSError, ValueError, ZeroDivisionError):
        limit = cores  # no control group, or one of another kind: the mask alone counts
    return max(1, min(cores, limit))
