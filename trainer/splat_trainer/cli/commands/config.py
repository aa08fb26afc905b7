"""`splat-trainer config`: the settings as they would be, or their schema."""

import json

from splat_trainer.cli.invocation import Invocation
from splat_trainer.contract import ExitCode, TrainConfig


def run(invocation: Invocation) -> ExitCode:
    """Print the configuration as JSON that `--config` reads, or the JSON schema of it."""
    if invocation.arguments.print_schema:
        print(json.dumps(TrainConfig.model_json_schema(), indent=2))
    else:
        print(invocation.config().model_dump_json(indent=2))
    return ExitCode.DONE
