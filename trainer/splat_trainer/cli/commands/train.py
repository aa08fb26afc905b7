"""`splat-trainer train`: from a capture to a splat, its metrics, previews and report."""

import logging

from splat_trainer.cli.capture_reader import CaptureReader
from splat_trainer.cli.checkpoints import checkpoints_of, open_checkpoint_place
from splat_trainer.cli.getting_ready import GettingReady
from splat_trainer.cli.interruption import Interruption
from splat_trainer.cli.invocation import Invocation
from splat_trainer.cli.outputs import send_result_to
from splat_trainer.cli.progress.choose import open_reporters
from splat_trainer.cli.workspace import open_workspace
from splat_trainer.contract import ExitCode, ProgressDocument, Stage
from splat_trainer.distributed.rank import Rank
from splat_trainer.storage import open_output

logger = logging.getLogger(__name__)


def run(invocation: Invocation) -> ExitCode:
    """Train, and put everything where it was asked for.

    What can be wrong is told in the order of what it costs to find: the settings, the output,
    the GPU, and only then the capture.
    """
    arguments = invocation.arguments
    config = invocation.config()
    invocation.formats()  # unknown ones are refused before anything is done
    reporters = open_reporters(
        arguments.progress,
        arguments.progress_file,
        invocation.environ,
        _DeferInTraining(invocation.interruption),
        iterations=config.iterations,
    )
    getting_ready = GettingReady(config)
    rank: Rank | None = arguments.rank
    reader = CaptureReader(verbose=arguments.verbose, scene=rank.scene if rank else None)
    try:
        # Not above: the reader has as much to import as this has, and does so beside it.
        from splat_trainer.cli.training_run import TrainingRun  # noqa: PLC0415

        getting_ready.start()  # no sooner: for a moment it takes standard output, which they hold
        output = open_output(arguments.output, endpoint=arguments.endpoint_url)
        invocation.record.send_to(send_result_to(output))
        elsewhere = open_checkpoint_place(arguments.checkpoints, arguments.endpoint_url)
        with open_workspace(arguments.output) as workspace:
            checkpoints = checkpoints_of(arguments.checkpoints, elsewhere, output, workspace)
            run = TrainingRun(
                invocation,
                config,
                getting_ready=getting_ready,
                reader=reader,
                output=output,
                checkpoints=checkpoints,
                workspace=workspace,
                reporters=reporters,
            )
            result = run.result()
    finally:
        reader.close()
        reporters.close()
    invocation.record.tell(result)
    logger.info("%s: %s", arguments.output, result.message)
    return ExitCode.DONE


class _DeferInTraining:
    """A reporter: once steps are made there is something to save, so signals have to wait."""

    def __init__(self, interruption: Interruption) -> None:
        self._interruption = interruption

    def tell(self, document: ProgressDocument, stage_began: bool) -> None:
        if document.stage is Stage.TRAINING:
            self._interruption.defer()

    def close(self) -> None:
        """Nothing to let go of."""
