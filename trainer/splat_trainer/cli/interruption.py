"""SIGTERM and SIGINT: an exception while nothing is at stake, a polite request from then on."""

import signal
from types import FrameType, TracebackType
from typing import Any, Self

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Interrupted(BaseException):
    """The run was asked to stop where it has nothing to save.

    Like KeyboardInterrupt no Exception, so that no handler of errors on the way swallows it.
    """

    def __init__(self, signal_name: str) -> None:
        super().__init__(signal_name)
        self.signal_name = signal_name


class Interruption:
    """Watches for the signals that ask a run to stop, from `with` to the end of its block.

    Until `defer()` a signal raises Interrupted in the main thread at once. After it, the first
    one only makes `requested()` true, and a second one raises after all: whoever asks twice no
    longer waits for a checkpoint.
    """

    def __init__(self) -> None:
        self._signal_name = ""
        self._deferring = False
        self._forwarded = False
        self._previous: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        self._previous = {number: signal.signal(number, self._handle) for number in _SIGNALS}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def defer(self) -> None:
        """From now on, the first signal waits for `requested()` to be asked."""
        self._deferring = True

    def let_through(self) -> None:
        """Hear from now on what was blocked since the process began, which may raise at once."""
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)

    def forwarded(self) -> None:
        """Signals come from a process that passes them on, and ends this one when asked twice.

        Where one went to all processes at once, the same comes once more from there.
        """
        self._forwarded = True

    def requested(self) -> bool:
        """Whether a signal came."""
        return bool(self._signal_name)

    @property
    def signal_name(self) -> str:
        """The signal that came, such as SIGTERM; empty if none did."""
        return self._signal_name

    def _handle(self, number: int, frame: FrameType | None) -> None:
        again = self.requested()
        self._signal_name = signal.Signals(number).name
        if (again and not self._forwarded) or not self._deferring:
            raise Interrupted(self._signal_name)
