"""Looks recorded as a CUDA graph and replayed: one launch for all that the host does in one.

At 165,000 Gaussians the host takes longer to launch a look's kernels than the GPU to run them. A
recording reads its view from buffers that stay where they are, and writes gradients to the same
tensors each time. It holds until something that it refers to is another: the Gaussians, the
strategy's sums, the image's size, the room of the lists, the degree. The first look after that is
done by the host, so that all kernels are loaded, the second is recorded.
"""

import contextlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from splat_trainer.gaussians.gaussians import Gaussians
from splat_trainer.rasterize.interface import Cameras
from splat_trainer.rasterize.tile_room import TileRoom
from splat_trainer.train.look import Look, Looked, Manner, Sight

_log = logging.getLogger(__name__)

WORTH = 8
"""Replays that a recording must have before it: making one takes the time of a few looks."""

Key = tuple[object, ...]


class Tape(Protocol):
    """Work on tensors that can be done again, as it was recorded."""

    def record(self, work: Callable[[], Looked]) -> Looked:
        """Record `work`, which is not done by that; gives the tensors that `play` writes to."""

    def play(self) -> None:
        """Do it."""


MakeTape = Callable[[Tape | None], Tape]
"""Makes a tape, given the one before if it was recorded: that one will not play again."""


class GraphTape:
    """A CUDA graph; it takes over the memory of the graph before it."""

    def __init__(self, before: Tape | None = None) -> None:
        self._graph: Any = torch.cuda.CUDAGraph()  # type: ignore[no-untyped-call]
        self._before = before if isinstance(before, GraphTape) else None

    def record(self, work: Callable[[], Looked]) -> Looked:
        """See `Tape`."""
        # Not by torch.cuda.graph(), which collects garbage and empties the cache each time.
        stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            self._graph.capture_begin(
                pool=self._before._graph.pool() if self._before else None,
                capture_error_mode="thread_local",  # NCCL's thread speaks with CUDA meanwhile
            )
            try:
                result = work()
            except BaseException:
                with contextlib.suppress(RuntimeError):
                    self._graph.capture_end()
                raise
            self._graph.capture_end()
        torch.cuda.current_stream().wait_stream(stream)
        self._before = None
        return result

    def play(self) -> None:
        """See `Tape`."""
        self._graph.replay()


@dataclass(frozen=True)
class _Recording:
    key: Key
    tape: Tape
    sight: Sight
    looked: Looked
    gradients: list[Tensor | None]


class RecordedLook:
    """Looks as `look` does, by a recording wherever there can be one.

    `look` draws with `room`; `anchors` gives the tensors beside the Gaussians' gradients that it
    writes to. What cannot be recorded is told once, and looked at as before; with `strict` it is
    an error.
    """

    def __init__(
        self,
        look: Look,
        room: TileRoom,
        anchors: Callable[[], Sequence[Tensor]],
        make_tape: MakeTape,
        *,
        strict: bool = False,
    ) -> None:
        self._look = look
        self._room = room
        self._anchors = anchors
        self._make_tape = make_tape
        self._strict = strict
        self._recording: _Recording | None = None
        self._last_key: Key = ()
        self._failed = False
        self.replays = 0

    def __call__(
        self, gaussians: Gaussians, sight: Sight, manner: Manner, *, lasts: Callable[[], bool]
    ) -> Looked:
        """See `Look`; what it gives holds until the next call.

        `lasts` is asked whether the next `WORTH` looks will be of the same Gaussians.
        """
        if self._failed:
            return self._look(gaussians, sight, manner)
        key = self._key(gaussians, sight, manner)
        if self._recording is None or self._recording.key != key:
            if key != self._last_key or not lasts():
                self._last_key = key
                return self._look(gaussians, sight, manner)
            try:
                self._recording = self._record(key, gaussians, sight, manner)
            except Exception as error:  # no memory for it, or a call that CUDA does not record
                for _, leaf in gaussians:
                    leaf.grad = None
                if self._strict:
                    raise
                self._failed = True
                lines = str(error).strip().splitlines() or [type(error).__name__]
                _log.warning("no CUDA graph of a step (%s): training goes on, slower", lines[0])
                return self._look(gaussians, sight, manner)
        return self._replay(self._recording, gaussians, sight)

    def _key(self, gaussians: Gaussians, sight: Sight, manner: Manner) -> Key:
        camera, tensors = sight.camera, [*gaussians.as_dict().values(), *self._anchors()]
        return (
            *(tensor.data_ptr() for tensor in tensors),
            *(len(gaussians), camera.width, camera.height, sight.mask is None),
            *(manner.sh_degree, manner.observes, self._room.capacity),
            None if manner.probe is None else manner.probe.features.data_ptr(),
        )

    def _record(self, key: Key, gaussians: Gaussians, sight: Sight, manner: Manner) -> _Recording:
        before = None
        if self._recording is not None:  # its tensors go, so that the new one has their memory
            before = self._recording.tape
            self._recording = None
        camera = sight.camera
        held = Sight(
            Cameras(camera.viewmats.clone(), camera.Ks.clone(), camera.width, camera.height),
            sight.pixels.clone(),
            None if sight.mask is None else sight.mask.clone(),
        )
        tape = self._make_tape(before)
        looked = tape.record(lambda: self._look(gaussians, held, manner))
        gradients = [leaf.grad for _, leaf in gaussians]
        return _Recording(key, tape, held, looked, gradients)

    def _replay(self, recording: _Recording, gaussians: Gaussians, sight: Sight) -> Looked:
        held = recording.sight
        held.camera.viewmats.copy_(sight.camera.viewmats, non_blocking=True)
        held.camera.Ks.copy_(sight.camera.Ks, non_blocking=True)
        held.pixels.copy_(sight.pixels, non_blocking=True)
        if held.mask is not None and sight.mask is not None:
            held.mask.copy_(sight.mask, non_blocking=True)
        recording.tape.play()
        for (_, leaf), gradient in zip(gaussians, recording.gradients, strict=True):
            leaf.grad = gradient
        self.replays += 1
        return recording.looked
