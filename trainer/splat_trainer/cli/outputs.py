"""What a run puts into its output."""

import logging
import tempfile
from collections.abc import Collection
from pathlib import Path

from splat_trainer.cli.result import Destination, write_atomically
from splat_trainer.cli.workspace import Workspace
from splat_trainer.contract import OutputFile, TrainerError, layout
from splat_trainer.report.preview_files import is_preview
from splat_trainer.storage import Output

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

    def put_previews(self, names: Collection[str]) -> None:
        """Put the previews and remove those of an earlier run, which show another splat.

        They are too many and too small to be remembered. Where earlier ones cannot be removed it
        is logged: no run should fail over what it does not need.
        """
        for name in sorted(names):
            place = f"{layout.PREVIEWS}/{name}"
            self._output.put(self._workspace.work / place, place, layout.PREVIEWS)
        try:
            for place in self._output.names(layout.PREVIEWS):
                name = place.removeprefix(f"{layout.PREVIEWS}/")
                if is_preview(name) and name not in names:
                    self._output.delete(place)
        except TrainerError as error:
            logger.warning("previews of an earlier run stay where they are: %s", error)

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
