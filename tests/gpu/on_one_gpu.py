"""`splat-trainer` whose ranks all take the first GPU, for a machine that has no second.

    python -m tests.gpu.on_one_gpu train --gpus 2 ...

NCCL refuses ranks that share a GPU of one host. Told that each is on a host of its own, which
NCCL_HOSTID is for, it has them exchange through sockets: the same collectives, only slower. What
they gather they read in each other's memory, as on two.
"""

import json
import os
import sys
from collections.abc import Sequence
from typing import Any
from unittest.mock import patch

from splat_trainer.cli.commands import train_on_gpus
from splat_trainer.cli.process import main
from splat_trainer.distributed.processes import Program
from splat_trainer.distributed.rank import Rank

_program_of = train_on_gpus._program


def _program(*arguments: Any) -> Program:
    """What the ranks run: this module, too."""
    own = _program_of(*arguments)
    return Program(_by_this_module(own.leader), _by_this_module(own.follower), own.environ)


def _by_this_module(command: Sequence[str]) -> list[str]:
    arguments = command[command.index("splat_trainer.cli") + 1 :]
    return [sys.executable, "-m", "tests.gpu.on_one_gpu", *arguments]


if __name__ == "__main__":
    if "--rank" in sys.argv:
        rank = json.loads(sys.argv[sys.argv.index("--rank") + 1])["rank"]
        os.environ["NCCL_HOSTID"] = f"rank-{rank}"
    with (
        patch.object(Rank, "gpu", 0),
        patch.object(train_on_gpus, "visible_gpus", lambda: 8),
        patch.object(train_on_gpus, "_program", _program),
    ):
        main()
