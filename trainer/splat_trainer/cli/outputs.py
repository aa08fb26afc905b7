"""What a run puts into its output, and what it finds there of an earlier one."""

import logging
import tempfile
from pathlib import Path

from splat_trainer.cli.result import Destination, write_atomically
from splat_trainer.cli.workspace import Workspace
from splat_trainer.contract import OutputFile, TrainerError, layout
from splat_trainer.storage import Output
from splat_trainer.train.checkpoint import newest_checkpoint

logger = logging.getLogger(__name__)


class Outputs:
    """Puts files of the workspace into the output under the same names, and remembers them."""

    def __init__(self, output: Output, workspace: Workspace) -> None:
        self._output = output
        self._workspace = workspace
        self._files: list[OutputFile] = []

    def put(self, name: str, format: str) -> OutputFile:
        """Put one file; raises TrainerError where the output cannot be written."""
        file = self._output.put(self._workspace.work / name, name, format)
        self._files.append(file)
        return file

    def put_text(self, name: str, text: str, format: str) -> OutputFile:
        """Write a text into the workspace and put it."""
        write_atomically(self._workspace.work / name)(text)
        return self.put(name, format)

    def put_folder(self, name: str) -> None:
        """Put all files below a folder; they are too many and too small to be remembered."""
        work = self._workspace.work
        for path in sorted((work / name).rglob("*")):
            if path.is_file():
                self._output.put(path, path.relative_to(work).as_posix(), name)

    def files(self) -> tuple[OutputFile, ...]:
        """What was put so far, file by file."""
        return tuple(self._files)


def send_result_to(output: Output) -> Destination:
    """Give a destination of result documents: `result.json` in the output."""

    def write(text: str) -> None:
        with tempfile.TemporaryDirectory(prefix="splat-trainer-") as folder:
            path = Path(folder) / layout.RESULT
            path.write_text(text, encoding="utf-8")
            output.put(path, layout.RESULT, "result")

    return write


def find_checkpoint(output: Output, workspace: Workspace) -> Path | None:
    """Give the newest checkpoint in the output as a local file; None if there is none."""
    if workspace.local:
        return newest_checkpoint(workspace.work / layout.CHECKPOINTS)
    names = output.names(layout.CHECKPOINTS)
    if not names:
        return None
    newest = max(names)  # their names hold the step with leading zeros
    path = workspace.scratch / "resumed" / Path(newest).name
    path.parent.mkdir(parents=True, exist_ok=True)
    return path if output.get(newest, path) else None


def checkpoints_are_of(run: str, output: Output, workspace: Workspace) -> bool:
    """Whether the checkpoints in the output, if any, are this run's own."""
    path = workspace.scratch / layout.RUN
    return output.get(layout.RUN, path) and path.read_text(errors="replace").strip() == run


def take_checkpoints_over(run: str, output: Output, workspace: Workspace) -> None:
    """Mark the output's checkpoints to come as this run's, once those of another are gone."""
    if output.names(layout.CHECKPOINTS):
        return  # they could not be removed, and must not be taken for this run's later
    path = workspace.scratch / layout.RUN
    path.write_text(f"{run}\n")
    output.put(path, layout.RUN, "run")


def forget_checkpoints(output: Output, keep: str | None = None) -> None:
    """Remove the checkpoints in the output, all but the one named `keep`.

    Where that is not allowed it is logged: no run should fail over what it does not need.
    """
    try:
        for name in output.names(layout.CHECKPOINTS):
            if name != keep:
                output.delete(name)
    except TrainerError as error:
        logger.warning("old checkpoints stay where they are: %s", error)
