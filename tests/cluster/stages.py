"""One line for each stage of something long, with the time it took."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def stage(what: str) -> Iterator[None]:
    """Say what is being done now, and how long it took; on a failure too."""
    started = time.monotonic()
    on_terminal = sys.stderr.isatty()
    sys.stderr.write(f"==> {what} ..." + ("" if on_terminal else "\n"))
    sys.stderr.flush()
    outcome = "failed after "
    try:
        yield
        outcome = ""
    finally:
        took = f"{outcome}{time.monotonic() - started:.1f} s"
        sys.stderr.write(f"\r==> {what}: {took}\n" if on_terminal else f"    {took}\n")
        sys.stderr.flush()


def say(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()
