"""What one of several processes that train one scene knows of itself."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, Self

from splat_trainer.distributed.child import die_with

PEER_LOST = 75
"""A rank's exit code where it ended only because another did, as sysexits.h's EX_TEMPFAIL."""


@dataclass(frozen=True)
class Rank:
    """One of `size` processes, each on a GPU of its own, or all on the CPU.

    Rank 0 leads, the others follow. `folder` is where they meet and leave word; `scene` the
    descriptor of the memory that holds the capture; `pipes` those of rank 0's ways to each
    follower, or of a follower's end of its own. `parent` started them all.
    """

    rank: int
    size: int
    device: Literal["cuda", "cpu"]
    folder: Path
    scene: int
    pipes: tuple[int, ...]
    parent: int

    @property
    def gpu(self) -> int:
        """The number of its GPU, of those that CUDA shows."""
        return self.rank

    @property
    def report(self) -> Path:
        """Where it says why it failed, as a result document."""
        return self.folder / f"rank-{self.rank}.json"

    def to_json(self) -> str:
        """For the command line of the process."""
        return json.dumps({**asdict(self), "folder": str(self.folder)})

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what `to_json` wrote."""
        values = json.loads(text)
        return cls(**{**values, "folder": Path(values["folder"]), "pipes": tuple(values["pipes"])})

    def die_with_parent(self) -> None:
        """Have the kernel kill this process, whatever it does, once `parent` is gone."""
        die_with(self.parent)


def failure_told(folder: Path) -> Path:
    """Where the process that started the ranks says what ended them."""
    return folder / "failure.json"


def leader_is_ending(folder: Path) -> Path:
    """What rank 0 makes when it has read that, and puts its things in order."""
    return folder / "ending"
