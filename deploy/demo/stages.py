"""What the demo prints: each stage as it begins, with its time when it ends."""

import time
from collections.abc import Iterator
from contextlib import contextmanager


class DemoError(Exception):
    """The demo cannot go on; its text says why and what to look at."""


class Stages:
    """The stages of one run and the seconds that each took."""

    def __init__(self) -> None:
        self.seconds: list[tuple[str, float]] = []

    @contextmanager
    def stage(self, title: str) -> Iterator[None]:
        """Announce a stage, then print and keep the time that it took."""
        print(f"==> {title}", flush=True)
        started = time.monotonic()
        yield
        seconds = time.monotonic() - started
        self.seconds.append((title, seconds))
        print(f"    {seconds:.1f} s", flush=True)

    def table(self) -> str:
        """Give the stages and their seconds, one a line, with the sum last."""
        rows = [*self.seconds, ("in all", sum(seconds for _, seconds in self.seconds))]
        width = max(len(title) for title, _ in rows)
        return "\n".join(f"  {title:<{width}}  {seconds:7.1f} s" for title, seconds in rows)
