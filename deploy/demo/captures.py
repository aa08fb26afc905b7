"""The capture that the demo trains: the user's folder, or a synthetic one made here."""

import subprocess
import sys
from pathlib import Path

from deploy.demo.stages import DemoError, Stages


def capture_to_train(given: Path | None, scratch: Path, stages: Stages) -> Path:
    """Give a folder with images and a COLMAP model; without `given`, make one."""
    if given is not None:
        if not (given / "images").is_dir():
            raise DemoError(f"CAPTURE={given} has no images/ folder")
        return given
    folder = scratch / "synthetic"
    with stages.stage("Making a synthetic capture (splat-trainer synth)"):
        trainer = Path(sys.executable).with_name("splat-trainer")
        subprocess.run([trainer, "synth", "--output", folder], check=True)
    return folder
