"""What every command gets: its arguments and the world as this process has it."""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from splat_trainer.cli.config_file import read_config_file
from splat_trainer.cli.config_sources import resolve_config
from splat_trainer.cli.formats import asked_formats
from splat_trainer.cli.interruption import Interruption
from splat_trainer.cli.result import RunRecord
from splat_trainer.cli.train_flags import given_config_flags
from splat_trainer.contract import SplatFormat, TrainConfig


@dataclass(frozen=True)
class Invocation:
    """One call of a command. Commands give their exit code, or raise TrainerError."""

    arguments: argparse.Namespace
    environ: Mapping[str, str]
    interruption: Interruption
    record: RunRecord
    argv: Sequence[str] = ()

    def config(self) -> TrainConfig:
        """The settings that flags, environment and --config together make."""
        path = self.arguments.config
        return resolve_config(
            given_config_flags(self.arguments),
            self.environ,
            read_config_file(path) if path else {},
            str(path),
        )

    def formats(self) -> tuple[SplatFormat, ...]:
        """The formats of the splat that flag or environment ask for, the PLY first."""
        return asked_formats(self.arguments.formats, self.environ)
