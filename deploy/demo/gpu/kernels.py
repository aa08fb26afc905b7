"""gsplat's kernels on the GPU machine: compiled once, then put into the trainer's image."""

import os
import subprocess
import sys
from pathlib import Path

from deploy.demo.stages import DemoError

LIBRARY = "gsplat_cuda.so"
FOLDER_IN_IMAGE = "/opt/splat/kernels"


def compile_kernels(folder: Path) -> Path:
    """Compile the kernels with this machine's nvcc, unless `folder` holds them already."""
    library = folder / LIBRARY
    if not library.exists():
        environment = {**os.environ, "TORCH_EXTENSIONS_DIR": str(folder.parent)}
        # gsplat compiles when its backend is imported; its folder is always gsplat_cuda.
        command = [sys.executable, "-c", "import gsplat.cuda._backend"]
        finished = subprocess.run(
            command, env=environment, check=False, capture_output=True, text=True
        )
        if not library.exists():
            raise DemoError(f"gsplat's kernels did not compile:\n{finished.stderr[-2000:]}")
    return library
