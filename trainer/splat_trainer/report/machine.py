"""What a run ran on: hardware and versions, read without touching the GPU."""

import os
import platform
import resource
import sys
import time
from importlib import metadata
from pathlib import Path

from splat_trainer.contract.model import Document


class Machine(Document):
    """The hardware, as far as this process may use it."""

    gpu: str | None
    cpu: str
    cpus: int
    memory_bytes: int
    system: str


class Versions(Document):
    """Versions of what shapes the result; None where it is not installed."""

    splat_trainer: str
    python: str
    torch: str | None
    cuda: str | None
    gsplat: str | None


def this_machine(gpu: str | None) -> Machine:
    """Describe this machine; `gpu` is the name of the GPU that was used."""
    return Machine(
        gpu=gpu,
        cpu=_cpu_name(),
        cpus=len(os.sched_getaffinity(0)),
        memory_bytes=_memory_bytes(),
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
    )


def these_versions() -> Versions:
    """The versions in use; imports nothing that is not imported already."""
    torch = sys.modules.get("torch")
    return Versions(
        splat_trainer=trainer_version(),
        python=platform.python_version(),
        torch=_version("torch") if torch is None else str(torch.__version__),
        cuda=None if torch is None else torch.version.cuda,
        gsplat=_version("gsplat"),
    )


def trainer_version() -> str:
    """The version of this program."""
    return _version("splat-operator") or "unknown"


def peak_host_memory_bytes() -> int:
    """The most memory that this process ever held, or one that it started and that has ended."""
    whose = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return max(resource.getrusage(who).ru_maxrss for who in whose) * 1024  # KiB, getrusage(2)


def process_started() -> float:
    """When this process began, as of `time.time()`; from proc(5), field 22 of stat."""
    try:
        fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
        uptime = float(Path("/proc/uptime").read_text().split()[0])
        age = uptime - int(fields[19]) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        age = 0.0
    return time.time() - max(0.0, age)


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


def _memory_bytes() -> int:
    """The cgroup's limit where there is one (cgroups v2), else the machine's memory."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        return min(total, int(Path("/sys/fs/cgroup/memory.max").read_text()))
    except (OSError, ValueError):
        return total
