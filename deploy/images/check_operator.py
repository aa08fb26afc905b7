"""Check the operator image while it is built, and write down what is in it.

Run as `check_operator.py OUTPUT`: one line and exit code 1 if the image is not what it promises.
"""

import importlib.util
import json
import platform
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

NEVER = ("torch", "gsplat", "numpy", "boto3", "kubernetes", "splat_trainer.train")


def main(output: Path) -> None:
    """Check, then write `output`."""
    for module in NEVER:
        if importlib.util.find_spec(module):
            sys.exit(f"the operator image must not hold {module}")
    if subprocess.run(
        ["splat-operator", "--help"], check=False, stdout=subprocess.DEVNULL
    ).returncode:
        sys.exit("splat-operator does not start: see above")
    packages = ("splat-operator", "kopf", "aiohttp", "pydantic")
    facts = {"python": platform.python_version(), **{name: version(name) for name in packages}}
    output.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
