"""Where a run's checkpoints are kept, and how those of an earlier run are found and removed."""

import logging
import os
from dataclasses import dataclass
from pathlib import Path

from splat_trainer.cli.workspace import Workspace
from splat_trainer.contract import TrainerError, layout
from splat_trainer.contract.environment import Place
from splat_trainer.storage import Output, open_output
from splat_trainer.storage.location import parse_location
from splat_trainer.train.checkpoint_files import is_checkpoint, newest_checkpoint

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Checkpoints:
    """The checkpoints of a run.

    They are kept in `place`, below `within` ("" is the place itself). `folder` is where training
    writes them: there at once where that is a local folder, which `local` tells, else a folder
    from which they are put there.
    """

    place: Output
    within: str
    folder: Path
    local: bool
    scratch: Path

    def uri(self, name: str = "") -> str:
        """Say where a checkpoint is kept, or all of them."""
        return self.place.uri(self._kept(name))

    def put(self, path: Path) -> str:
        """Put a checkpoint from `folder` where they are kept, remove older ones; gives its URI.

        A second name keeps the file for as long as the copy takes: training removes it as soon as
        there is a newer one.
        """
        if self.local:
            return self.uri(path.name)
        held = path.with_name(f".{path.name}.held")
        held.unlink(missing_ok=True)
        os.link(path, held)
        try:
            file = self.place.put(held, self._kept(path.name), "checkpoint")
        finally:
            held.unlink(missing_ok=True)
        self.remove(but=path.name)
        return file.uri

    def newest(self) -> Path | None:
        """Give the newest checkpoint that is kept, as a local file; None if there is none."""
        if self.local:
            return newest_checkpoint(self.folder)
        names = self._names()
        if not names:
            return None
        newest = max(names)  # they hold the step with leading zeros
        path = self.scratch / "resumed" / newest
        path.parent.mkdir(parents=True, exist_ok=True)
        return path if self.place.get(self._kept(newest), path) else None

    def are_of(self, run: str) -> bool:
        """Whether the checkpoints that are kept, if any, are this run's own."""
        path = self.scratch / layout.RUN
        return self.place.get(layout.RUN, path) and path.read_text(errors="replace").strip() == run

    def take_over(self, run: str) -> None:
        """Mark the checkpoints to come as this run's, once those of another are gone."""
        if self._names():
            return  # they could not be removed, and must not be taken for this run's later
        path = self.scratch / layout.RUN
        path.write_text(f"{run}\n")
        self.place.put(path, layout.RUN, "run")

    def remove(self, but: str | None = None) -> None:
        """Remove the checkpoints that are kept, all but the one named `but`, and nothing else.

        Where that is not allowed it is logged: no run should fail over what it does not need.
        """
        try:
            for name in self._names():
                if name != but:
                    self.place.delete(self._kept(name))
        except TrainerError as error:
            logger.warning("old checkpoints stay where they are: %s", error)

    def _kept(self, name: str) -> str:
        return f"{self.within}/{name}" if self.within else name

    def _names(self) -> list[str]:
        kept = (name.removeprefix(self._kept("")) for name in self.place.names(self.within))
        return [name for name in kept if is_checkpoint(name)]


def open_checkpoint_place(uri: str | None, endpoint: str | None) -> Output | None:
    """Open the place that checkpoints have of their own, if any; fail now if it is shut."""
    return None if uri is None else open_output(uri, endpoint=endpoint, place=Place.CHECKPOINTS)


def checkpoints_of(
    uri: str | None, place: Output | None, output: Output, workspace: Workspace
) -> Checkpoints:
    """Give the checkpoints of a run: in `place`, which is that of `uri`, else in its output."""
    scratch = workspace.scratch
    if uri is None or place is None:
        folder = workspace.work / layout.CHECKPOINTS
        return Checkpoints(output, layout.CHECKPOINTS, folder, workspace.local, scratch)
    location = parse_location(uri)
    if isinstance(location, Path):
        return Checkpoints(place, "", location, local=True, scratch=scratch)
    return Checkpoints(place, "", scratch / layout.CHECKPOINTS, local=False, scratch=scratch)
