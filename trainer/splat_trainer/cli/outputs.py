"""What a run puts into its output."""

import tempfile
from pathlib import Path

from splat_trainer.cli.result import Destination, write_atomically
from splat_trainer.cli.workspace import Workspace
from splat_trainer.contract import OutputFile, layout
from splat_trainer.storage import Output


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
