"""Which compilers a process starts: Triton's for machine code, and C's for launchers."""

import re
import sys
from pathlib import Path
from typing import Any

_COMPILER = re.compile(r"ptxas.*|(.*-)?(gcc|g\+\+|cc|c\+\+|clang|clang\+\+|ld)(-\d+)?")


def started_compilers() -> list[str]:
    """Give a list that gets the name of each, from now on to the end of the process."""
    names: list[str] = []

    def hook(event: str, details: tuple[Any, ...]) -> None:
        if event == "subprocess.Popen" and "--version" not in details[1]:
            name = Path(str(details[1][0])).name
            if _COMPILER.fullmatch(name):
                names.append(name)

    sys.addaudithook(hook)
    return names
