"""The trainer's CUDA kernels on the GPU machine, by the command that fills a kernel cache."""

import os
import subprocess
import sys
from pathlib import Path

from deploy.demo.stages import DemoError

_ARCHITECTURE = "import torch; print('%d.%d' % torch.cuda.get_device_capability())"


def compile_kernels(cache: Path) -> Path:
    """Compile the kernels with this machine's nvcc, unless `cache` holds them; gives `cache`."""
    architecture = _said([sys.executable, "-c", _ARCHITECTURE]).strip()
    _said(
        [
            *(sys.executable, "-m", "splat_trainer.cli", "kernels", "build"),
            *("--cache", str(cache), "--architectures", architecture),
        ]
    )
    return cache


def _said(command: list[str]) -> str:
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    finished = subprocess.run(command, env=environment, check=False, capture_output=True, text=True)
    if finished.returncode:
        raise DemoError(f"the kernels did not compile:\n{finished.stderr[-2000:]}")
    return finished.stdout
