"""Tests of permissions mean nothing to root: inside, the process is nobody."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

_NOBODY = 65_534


@contextmanager
def unprivileged() -> Iterator[None]:
    """Give up root's rights inside, where the process has them."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(_NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
