"""How the ranks of a training come together: rank 0 leads, the others do as it does."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from splat_trainer.contract import Reason, ResultDocument, TrainConfig, TrainerError
from splat_trainer.distributed import leash
from splat_trainer.distributed.exchange import Exchange, PeerLost
from splat_trainer.distributed.rank import Rank, failure_told, leader_is_ending
from splat_trainer.optimize.schedule import Schedule

if TYPE_CHECKING:
    import torch

    from splat_trainer.capture.scene import Scene

_WORD_SECONDS = 5.0
"""How long rank 0 waits for word of why another is gone."""


@dataclass(frozen=True)
class Begin:
    """What a follower must know to begin: `resume` is a checkpoint, None to start anew."""

    config: TrainConfig
    schedule: Schedule
    resume: Path | None


class Crew(Protocol):
    """Whoever trains with this process."""

    @property
    def size(self) -> int:
        """How many processes train."""

    def assemble(self, begin: Begin, device: torch.device) -> Exchange:
        """Have the others begin, and meet them."""

    def why_lost(self, lost: PeerLost) -> TrainerError:
        """Say what ended the one that was lost."""


class Leader:
    """Rank 0's side."""

    def __init__(self, rank: Rank) -> None:
        self._rank = rank
        self._followers = [Connection(pipe, readable=False) for pipe in rank.pipes]

    @property
    def size(self) -> int:
        """See `Crew`."""
        return self._rank.size

    def assemble(self, begin: Begin, device: torch.device) -> Exchange:
        """See `Crew`."""
        # Not above: rank 0 leads from before it has read the capture, and that waits for no torch.
        from splat_trainer.distributed.replicas import Replicas, join  # noqa: PLC0415

        for follower in self._followers:
            try:
                follower.send(begin)
            except OSError as error:
                raise PeerLost("a follower is gone before the first step") from error
        join(self._rank)
        rope = leash.Leader(self._followers, stride=self.size, last=begin.config.iterations)
        return Replicas(0, self.size, device, rope)

    def why_lost(self, lost: PeerLost) -> TrainerError:
        """See `Crew`; waits for whoever started the ranks to have seen it."""
        leader_is_ending(self._rank.folder).touch()
        told = failure_told(self._rank.folder)
        until = time.monotonic() + _WORD_SECONDS
        while not told.exists() and time.monotonic() < until:
            time.sleep(0.05)
        if not told.exists():
            return TrainerError(
                Reason.INTERNAL_ERROR, f"lost touch with another rank: {lost}; run it again"
            )
        document = ResultDocument.model_validate_json(told.read_text(encoding="utf-8"))
        return TrainerError(document.reason, document.message)


class Follower:
    """The side of the others."""

    def __init__(self, rank: Rank) -> None:
        self._rank = rank
        self._leader = Connection(rank.pipes[0], writable=False)

    @property
    def size(self) -> int:
        """See `Crew`."""
        return self._rank.size

    def wait_for_begin(self) -> tuple[Begin, Scene]:
        """Wait until rank 0 is ready to train, with a scene of the views to train on."""
        try:
            begin = self._leader.recv()
        except (EOFError, OSError) as error:
            raise PeerLost("rank 0 ended before the first step") from error
        if not isinstance(begin, Begin):
            raise PeerLost(f"rank 0 said {begin!r}")
        from splat_trainer.capture.shared_scene import read_scene  # noqa: PLC0415 - as above

        return begin, read_scene(self._rank.scene)

    def assemble(self, begin: Begin, device: torch.device) -> Exchange:
        """See `Crew`."""
        from splat_trainer.distributed.replicas import Replicas, join  # noqa: PLC0415

        join(self._rank)
        rope = leash.Follower(self._leader, last=begin.config.iterations)
        return Replicas(self._rank.rank, self.size, device, rope)

    def wait_for_the_end(self) -> None:
        """Stay until rank 0 is gone: it may still read this one's memory, and NCCL would take it
        for a fault if this one went before."""
        with contextlib.suppress(EOFError, OSError):
            while True:
                self._leader.recv()
