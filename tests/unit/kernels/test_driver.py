"""The driver is woken where there is one, and what the user set for it stays."""

import os
import threading

import pytest

from splat_trainer.kernels.driver import wake_driver


@pytest.mark.parametrize("library", ["libcuda-that-is-not-there.so", "libc.so.6"])
def test_a_machine_without_a_driver_is_no_fault(
    library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    raised: list[object] = []
    monkeypatch.setattr(threading, "excepthook", raised.append)
    monkeypatch.setenv("CUDA_MODULE_LOADING", "EAGER")
    wake_driver(library).join()
    assert raised == []
    assert os.environ["CUDA_MODULE_LOADING"] == "EAGER"
