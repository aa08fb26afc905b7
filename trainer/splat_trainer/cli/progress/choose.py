"""Decides who is told about a run: what the terminal, the flags and the environment ask for."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from splat_trainer.cli.progress.file import write_progress_file
from splat_trainer.cli.progress.http import HttpProgress, ProgressAddress
from splat_trainer.cli.progress.json_lines import write_json_lines
from splat_trainer.cli.progress.reporter import Reporter, Reporters
from splat_trainer.cli.progress.throttle import Throttled
from splat_trainer.contract import environment

Display = Literal["auto", "bar", "lines", "none"]


def open_reporters(
    display: Display,
    progress_file: Path | None,
    environ: Mapping[str, str],
    *others: Reporter,
    iterations: int = 0,
) -> Reporters:
    """Open the reporters of a run; raises TrainerError if the progress address is faulty."""
    reporters = list(others)
    url = environ.get(environment.PROGRESS_URL, "").strip()
    if url:
        address = ProgressAddress.parse(
            url,
            _path(environ, environment.PROGRESS_TOKEN_FILE),
            _path(environ, environment.PROGRESS_CA_FILE),
        )
        reporters.append(HttpProgress(address))
    if progress_file:
        reporters.append(Throttled(write_progress_file(progress_file)))
    if display == "auto":
        display = "bar" if sys.stderr.isatty() else "lines"
    if display == "bar":
        from rich.console import Console  # noqa: PLC0415 - half a second that pods need not pay

        from splat_trainer.cli.progress.terminal import TerminalBar  # noqa: PLC0415

        reporters.append(TerminalBar(Console(stderr=True)))
    elif display == "lines":
        reporters.append(Throttled(write_json_lines(sys.stdout)))
    return Reporters(reporters, iterations)


def _path(environ: Mapping[str, str], name: str) -> Path | None:
    value = environ.get(name, "").strip()
    return Path(value) if value else None
