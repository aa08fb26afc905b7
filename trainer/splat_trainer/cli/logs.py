"""The log: standard error, plain at a terminal, with time and level elsewhere."""

import logging
import sys
import warnings


class _StderrHandler(logging.StreamHandler):  # type: ignore[type-arg]
    """Writes to whatever sys.stderr is now: a progress bar puts itself in between."""

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.stderr  # setStream would flush the one before, which may be closed
        super().emit(record)


def configure(verbose: bool) -> None:
    """Send the log of this program to standard error, that of libraries from warnings on."""
    terminal = sys.stderr.isatty()
    handler = _StderrHandler()
    handler.setFormatter(
        logging.Formatter("%(message)s" if terminal else "%(asctime)s %(levelname)s %(message)s")
    )
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("splat_trainer").setLevel(logging.DEBUG if verbose else logging.INFO)
    logging.captureWarnings(True)
    warnings.simplefilter("default" if verbose else "ignore")
