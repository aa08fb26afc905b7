"""Triton is read before it is used, once, and only where there is a driver."""

import subprocess
import sys
import threading

import pytest

from splat_trainer.kernels.own.wake import wake_triton

_WOKEN = """
import sys
from splat_trainer.kernels.own.wake import wake_triton
wake_triton("libc.so.6").join()
assert "torch" not in sys.modules
from triton.compiler import compiler
from triton.runtime import cache
key = getattr(compiler, "triton_key", None) or cache.triton_key
assert key.cache_info().misses == 1
assert wake_triton("libc.so.6") is wake_triton("libc.so.6")
"""


def test_its_key_is_known_before_pytorch_is_imported() -> None:
    pytest.importorskip("triton", reason="Triton is not installed")
    subprocess.run([sys.executable, "-c", _WOKEN], check=True)


def test_without_a_driver_nothing_is_read_and_nothing_is_wrong(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    raised: list[object] = []
    monkeypatch.setattr(threading, "excepthook", raised.append)
    imported = set(sys.modules)
    wake_triton("libcuda-that-is-not-there.so").join()
    assert raised == []
    assert not {name for name in set(sys.modules) - imported if name.startswith("triton")}
