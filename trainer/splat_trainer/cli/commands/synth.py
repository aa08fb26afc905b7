"""`splat-trainer synth`: a small capture with a known answer, for demos and tests."""

from splat_trainer.capture.synthetic.make import make_synthetic_capture
from splat_trainer.cli.invocation import Invocation
from splat_trainer.contract import ExitCode


def run(invocation: Invocation) -> ExitCode:
    """Make the capture and say where it is."""
    arguments = invocation.arguments
    make_synthetic_capture(
        arguments.output, views=arguments.views, size=arguments.size, seed=arguments.seed
    )
    print(f"{arguments.output}: {arguments.views} views and their exact COLMAP model")
    return ExitCode.DONE
