"""What takes seconds and needs no capture, done in a thread while the capture is fetched and read.

So the main thread imports nothing that imports PyTorch before it has the capture: it would wait
for this thread's imports. (tests/unit/cli/test_getting_ready.py holds it to that.) It reads none
itself either, for the same lock's sake: capture_reader.py.
"""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import TYPE_CHECKING

from splat_trainer.cli.stopwatch import Stopwatch
from splat_trainer.contract import TrainConfig
from splat_trainer.kernels.driver import wake_driver
from splat_trainer.kernels.own.wake import wake_triton

if TYPE_CHECKING:
    import torch

logger = logging.getLogger(__name__)

_SWITCH_SECONDS = 0.0005
"""After how long a thread gives up Python's lock to another that waits; Python's own is 5 ms.
Beside a thread that only computes, 16 threads that leave the lock for 8 ms at a time were done in
1.5 s with 5 ms, in 1.0 with this, alone in 0.9: a capture's downloads are such threads."""


class GettingReady:
    """Imports PyTorch, finds the device, has its kernels loaded, compiled and checked.

    What is wrong with the device is told before what is wrong with the capture, and that before
    what is wrong with kernels, whichever is known first.
    """

    def __init__(self, config: TrainConfig) -> None:
        self._config = config
        self._device: Future[torch.device] = Future()
        self._whole: Future[bool] = Future()

    def start(self) -> None:
        """Begin. Nobody waits for the threads at the end of the process (cli/process.py)."""
        if self._config.device != "cpu":
            wake_driver()
            wake_triton()
        threading.Thread(target=self._run, name="getting-ready", daemon=True).start()

    def check_device(self) -> None:
        """Raise what is wrong with the device, if that is known by now."""
        if self._device.done():
            self._device.result()

    @contextmanager
    def beside(self) -> Iterator[None]:
        """Have the block go on beside; what it fails by is told if the device is not at fault."""
        before = sys.getswitchinterval()
        sys.setswitchinterval(_SWITCH_SECONDS)
        try:
            yield
        except Exception:
            self._device.result()
            raise
        finally:
            sys.setswitchinterval(before)

    def wait(self, on_kernels: Callable[[], None]) -> None:
        """Wait until all is ready; `on_kernels` is called if that is for kernels.

        Kernels of gsplat's that nobody has compiled yet are compiled here: a signal, which the
        main thread gets, then ends the compiler.
        """
        device = self._device.result()
        ready = self._whole.done() and self._whole.result()
        if device.type == "cuda" and not ready:
            on_kernels()
        if not self._whole.result():
            from splat_trainer.train.ready import make_ready  # noqa: PLC0415 - imports torch

            make_ready(self._config, device, may_compile=True)

    def _run(self) -> None:
        watch = Stopwatch()
        try:
            with watch("PyTorch"):
                from splat_trainer.train.device import choose_device  # noqa: PLC0415

                device = choose_device(self._config.device)
            self._device.set_result(device)
            with watch("modules"):
                from splat_trainer.train import loop, ready  # noqa: F401, PLC0415
            with watch("kernels"):
                whole = ready.make_ready(self._config, device, may_compile=False)
            logger.debug(
                "PyTorch took %.1f s, the trainer's own modules %.1f s, kernels %.1f s",
                *(watch.seconds("PyTorch"), watch.seconds("modules"), watch.seconds("kernels")),
            )
            self._whole.set_result(whole)
        except BaseException as error:
            for future in (self._device, self._whole):
                if not future.done():
                    future.set_exception(error)
