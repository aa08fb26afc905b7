"""Logging: one JSON object a line, with the training that a line is about."""

import json
import logging
from datetime import UTC, datetime

from splat_operator.runtime.settings import Settings

_QUIET = {
    # kopf tells at INFO of every handler that every event ran.
    "kopf.objects": logging.WARNING,
    "kopf.activities": logging.WARNING,
    "kopf._core.engines.activities": logging.WARNING,
    # Nonsense that somebody sends to a port is no news, and must not fill the log.
    "aiohttp.server": logging.CRITICAL,
    "asyncio": logging.WARNING,
}


class JsonFormatter(logging.Formatter):
    """One line of JSON for each record."""

    def format(self, record: logging.LogRecord) -> str:
        """Write a record."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        training = getattr(record, "training", None)
        if training:
            line["training"] = training
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


class TextFormatter(logging.Formatter):
    """For people."""

    def format(self, record: logging.LogRecord) -> str:
        """Write a record."""
        training = getattr(record, "training", None)
        about = f" [{training}]" if training else ""
        stamp = datetime.fromtimestamp(record.created, UTC).strftime("%H:%M:%S.%f")[:-3]
        line = f"{stamp} {record.levelname.lower():7} {record.name}{about} {record.getMessage()}"
        return line + ("\n" + self.formatException(record.exc_info) if record.exc_info else "")


def configure_logging(settings: Settings) -> None:
    """Send all logging to standard error."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter() if settings.log_format == "json" else TextFormatter())
    logging.basicConfig(level=settings.log_level.upper(), handlers=[handler], force=True)
    for name, level in _QUIET.items():
        logging.getLogger(name).setLevel(max(level, logging.getLogger().level))
