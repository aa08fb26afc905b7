"""`splat-trainer convert`: a 3DGS PLY in another format; the file's name says which."""

from splat_trainer.cli.formats import format_of, refuse_what_is_only_written
from splat_trainer.cli.invocation import Invocation
from splat_trainer.contract import ExitCode
from splat_trainer.gaussians.formats.ply import read_ply
from splat_trainer.gaussians.formats.write import write_gaussians


def run(invocation: Invocation) -> ExitCode:
    """Read, write as a run would have written, and say what it came to."""
    arguments = invocation.arguments
    refuse_what_is_only_written(arguments.splat)
    format = format_of(arguments.target)
    written = write_gaussians(read_ply(arguments.splat), arguments.target, format)
    share = 100 * written.bytes / max(1, arguments.splat.stat().st_size)
    print(
        f"{arguments.target}: {format}, {written.gaussians:,} Gaussians, "
        f"{written.bytes:,} bytes, {share:.1f} % of {arguments.splat}"
    )
    return ExitCode.DONE
