"""Time as a GPU counts it, which does not make the host wait."""

import torch


class GpuClock:
    """The time from entering to leaving, on the current device's current stream."""

    def __init__(self) -> None:
        self._begun, self._ended = _event(), _event()

    def __enter__(self) -> "GpuClock":
        self._begun.record()  # type: ignore[no-untyped-call]
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.record()  # type: ignore[no-untyped-call]

    def milliseconds(self) -> float:
        """How long it was; the device must have come to its end."""
        return float(self._begun.elapsed_time(self._ended))  # type: ignore[no-untyped-call]


def _event() -> torch.cuda.Event:
    return torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
