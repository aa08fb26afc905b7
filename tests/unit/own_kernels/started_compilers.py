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
        if event != "subprocess.Popen" or "--version" in details[1]:
            return
        command = [str(word) for word in details[1]]
        if command[1:2] == ["-c"]:  # by a shell, as Triton before 3.2 does
            command = command[2].split()
        name = Path(command[0]).name
        if _COMPILER.fullmatch(name):
            names.append(name)

    sys.addaudithook(hook)
    return names
