import subprocess
import sys
import time

from splat_trainer.report.machine import (
    peak_host_memory_bytes,
    process_started,
    these_versions,
    this_machine,
)


def test_the_process_began_a_moment_ago() -> None:
    assert time.time() - 3_600 < process_started() < time.time()


def test_peak_memory_is_in_bytes() -> None:
    held = bytearray(64 << 20)
    assert peak_host_memory_bytes() > len(held)
    assert peak_host_memory_bytes() < 64 << 30


def test_peak_memory_is_that_of_the_largest_process() -> None:
    hold = "x = bytearray(b'x' * (300 << 20))"
    program = (
        "import subprocess, sys\n"
        "from splat_trainer.report.machine import peak_host_memory_bytes\n"
        f"subprocess.run([sys.executable, '-c', {hold!r}], check=True)\n"
        "print(peak_host_memory_bytes())"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert int(told.stdout) > 300 << 20


def test_the_machine_is_described() -> None:
    machine = this_machine(gpu=None)
    assert machine.cpus >= 1
    assert machine.memory_bytes > 256 << 20
    assert machine.cpu


def test_versions_name_what_is_installed() -> None:
    versions = these_versions()
    assert versions.splat_trainer != "unknown"
    assert versions.python.startswith("3.")
    assert versions.torch
