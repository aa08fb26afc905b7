"""Programs that stand in for kubectl and helm: what is tested is how they are asked and heard."""

import stat
from pathlib import Path


def program(folder: Path, name: str, script: str) -> str:
    """Write a shell script that can be run; gives its path."""
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)
