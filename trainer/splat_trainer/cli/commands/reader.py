"""`splat-trainer reader`: reads a capture for a training; nobody calls it by hand.

Its other end is cli/capture_reader.py.
"""

import logging
from logging.handlers import QueueHandler
from multiprocessing.connection import Connection
from queue import SimpleQueue

from splat_trainer.capture.load import load_to_train
from splat_trainer.cli.capture_reader import Ended, Task
from splat_trainer.cli.failures import explain
from splat_trainer.cli.invocation import Invocation
from splat_trainer.contract import ExitCode
from splat_trainer.distributed.child import die_with, leave_stopping_to_parent


class _LogThrough(QueueHandler):
    """Has lines logged by whoever started this process, who may show a bar below them."""

    def __init__(self, pipe: Connection) -> None:
        super().__init__(SimpleQueue())
        self.setFormatter(logging.Formatter())  # the message alone: the rest is added there
        self._pipe = pipe

    def enqueue(self, record: logging.LogRecord) -> None:
        self._pipe.send(record)


def run(invocation: Invocation) -> ExitCode:
    """Wait for a capture, read it, and say how that went."""
    die_with(invocation.arguments.parent)
    leave_stopping_to_parent()
    with Connection(invocation.arguments.pipe) as pipe:
        logging.basicConfig(handlers=[_LogThrough(pipe)], force=True)
        try:
            task: Task = pipe.recv()
        except EOFError:
            return ExitCode.DONE  # there is none to read
        try:
            load_to_train(task.folder, task.config, invocation.arguments.scene)
        except BaseException as error:
            failure = explain(error)
            pipe.send(Ended(failure.reason, failure.message))
            return failure.exit_code
        pipe.send(Ended())
    return ExitCode.DONE
