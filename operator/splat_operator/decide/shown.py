"""How values are written in a status: times, figures and sentences as people read them."""

import math
from datetime import UTC, datetime

_MESSAGE_LIMIT = 1024
_NUMBER_LIMIT = 16
"""The longest text that the CRD takes for a number: the API server refuses a whole status for a
longer one."""
_MINUTE, _HOUR, _DAY = 60, 3600, 86_400
_INT64_MAX = 2**63 - 1


def shown_time(moment: datetime) -> str:
    """Write a moment as the API does: UTC, whole seconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def shown_number(value: float | None, digits: int) -> str | None:
    """Write a number with a fixed count of digits, one that is too long for that by its power of
    ten; None for what is no number."""
    if value is None or not math.isfinite(value):
        return None
    plain = f"{value:.{digits}f}"
    return plain if len(plain) <= _NUMBER_LIMIT else f"{value:.{digits}e}"


def shown_count(value: float | None) -> int | None:
    """Give a whole number that the API takes; None for what is none."""
    if value is None or not (isinstance(value, int) or math.isfinite(value)):
        return None
    return min(max(round(value), 0), _INT64_MAX)


def shown_duration(seconds: float | None) -> str | None:
    """Write a duration in its two largest units, such as 4m12s."""
    whole = shown_count(seconds)
    if whole is None:
        return None
    for large, name, small, small_name in (
        (_DAY, "d", _HOUR, "h"),
        (_HOUR, "h", _MINUTE, "m"),
        (_MINUTE, "m", 1, "s"),
    ):
        if whole >= large:
            if whole >= 1000 * _DAY:
                return ">999d"
            return f"{whole // large}{name}{whole % large // small}{small_name}"
    return f"{whole}s"


def shown_message(message: str) -> str:
    """Make one line of a message from outside, with nothing in it that a terminal obeys."""
    line = " ".join("".join(c if c.isprintable() else " " for c in message).split())
    return line if len(line) <= _MESSAGE_LIMIT else line[: _MESSAGE_LIMIT - 1] + "…"
