"""Triton kernels without a GPU: in Triton's interpreter, which a process of its own needs."""

import os
import subprocess
import sys


def run_interpreted(program: str) -> None:
    """Run a program with Triton's interpreter in place of its compiler; it must end well."""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
