"""Wait for something to come true, and say what was waited for and what was there instead."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar, overload

T = TypeVar("T")


@overload
def wait_for(what: str, look: Callable[[], T | None], timeout: float = 60) -> T: ...


@overload
def wait_for(
    what: str, look: Callable[[], T], timeout: float = 60, *, until: Callable[[T], object]
) -> T: ...


def wait_for(
    what: str,
    look: Callable[[], Any],
    timeout: float = 60,
    *,
    until: Callable[[Any], object] = bool,
) -> Any:
    """Call `look` until `until` holds for what it gives (or it is true), and give that.

    Raises AssertionError after `timeout` seconds, with `what` and the last thing seen.
    """
    deadline = time.monotonic() + timeout
    while True:
        seen = look()
        if until(seen):
            return seen
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout:g} s for {what}; last saw: {seen!r}")
        time.sleep(0.2)
