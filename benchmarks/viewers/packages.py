"""The npm packages of package-lock.json, installed once."""

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

HERE = Path(__file__).parent


def installed_packages() -> Path:
    """Install them below the project's cache if they are not there, and give node_modules."""
    lock = (HERE / "package-lock.json").read_bytes()
    cache = os.environ.get("SPLAT_CACHE") or Path.home() / ".cache/splat-operator"
    folder = Path(cache) / f"viewers-{hashlib.sha256(lock).hexdigest()[:16]}"
    if not (folder / "done").exists():
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / name, folder)
        subprocess.run(["npm", "ci", "--ignore-scripts", "--silent"], cwd=folder, check=True)
        (folder / "done").touch()
    return folder / "node_modules"
