"""How a training looks at its views: by the fastest way that works on its device."""

import logging
from collections.abc import Callable, Sequence

import torch

from splat_trainer.gaussians.gaussians import Gaussians
from splat_trainer.optimize.losses import image_loss_for
from splat_trainer.optimize.schedule import Schedule
from splat_trainer.optimize.strategies.strategy import Strategy
from splat_trainer.rasterize.interface import Cameras, Rasterizer
from splat_trainer.rasterize.tile_room import TileRoom, room_for
from splat_trainer.train.look import Look, Looked, Manner, Sight
from splat_trainer.train.recording import MakeTape, RecordedLook
from splat_trainer.train.recording_check import graph_tapes

_log = logging.getLogger(__name__)

_COUNTED_VIEWS = 64
"""How many views, evenly chosen, are asked for the room they need before the first step."""


class Looking:
    """Looks at views; keeps room for the tiles' lists, and a recording where there can be one."""

    def __init__(
        self,
        rasterizer: Rasterizer,
        schedule: Schedule,
        strategy: Strategy,
        gaussians: Gaussians,
        cameras: Sequence[Cameras],
    ) -> None:
        device = gaussians.device
        image_loss = image_loss_for(device)
        self._room = rasterizer.make_room(gaussians.detach(), evenly(cameras, _COUNTED_VIEWS))
        self._look = Look(rasterizer, image_loss, schedule, strategy, self._room)
        self._recorded: RecordedLook | None = None
        tapes = graph_tapes(rasterizer, image_loss, device) if self._room else None
        if tapes is not None:
            self.record_on(tapes, lambda: list(strategy.state().values()))
        self._rasterizer = rasterizer

    def expect(self, gaussians: Gaussians, cameras: Sequence[Cameras]) -> None:
        """Have room for larger views, before the first of them; waits to find out how much.

        Without, every look that the host has asked for before it learns of the first would be
        lost.
        """
        if self._room is None:
            return
        wanted = self._rasterizer.make_room(gaussians.detach(), evenly(cameras, _COUNTED_VIEWS))
        if wanted is not None and wanted.capacity > self._room.capacity:
            self._room.make(wanted.capacity)

    def record_on(self, tapes: MakeTape, anchors: Callable[[], Sequence[torch.Tensor]]) -> None:
        """Record from now on; `anchors` gives the tensors that the strategy adds to."""
        if self._room is None:
            raise ValueError("a look without room for its lists waits: it cannot be recorded")
        self._recorded = RecordedLook(self._look, self._room, anchors, tapes)

    @property
    def replays(self) -> int:
        """Looks so far that were replays of a recording."""
        return self._recorded.replays if self._recorded else 0

    def __call__(
        self, gaussians: Gaussians, sight: Sight, manner: Manner, *, lasts: Callable[[], bool]
    ) -> Looked:
        """See `Look`; what it gives holds until the next call.

        `lasts` is asked whether the next `recording.WORTH` looks will be of the same Gaussians.
        """
        if self._room is not None:
            make_more(self._room)
        if self._recorded is None:
            looked = self._look(gaussians, sight, manner)
        else:
            looked = self._recorded(gaussians, sight, manner, lasts=lasts)
        if self._room is not None:
            self._room.fetch()
        return looked


def make_more(room: TileRoom) -> None:
    """Have more room where the host knows that it is short, or nearly so."""
    if room.short:
        _log.info(
            "a view had %s pairs of Gaussian and tile, with room for %s: there is more now",
            f"{room.most:,}",
            f"{room.capacity:,}",
        )
    if room.tight:
        room.make(room_for(room.most))


def evenly(cameras: Sequence[Cameras], most: int) -> list[Cameras]:
    """At most so many of them, from the first to the last."""
    count = min(most, len(cameras))
    return [cameras[index * len(cameras) // count] for index in range(count)]
