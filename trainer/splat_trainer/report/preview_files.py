"""The files that previews are in, known by their names; imports nothing heavy."""

import re

_NAME = re.compile(r"[0-9]{4,9}(-[A-Za-z0-9_-]{1,80})?\.jpg")


def preview_file(index: int, name: str) -> str:
    """A file name that nothing in a view's name can lead elsewhere."""
    stem = re.sub(r"[^A-Za-z0-9_-]+", "-", name.rsplit(".", 1)[0]).strip("-")[:80]
    return f"{index:04}-{stem}.jpg" if stem else f"{index:04}.jpg"


def is_preview(name: str) -> bool:
    """Whether a file's name is one that `preview_file` gives."""
    return _NAME.fullmatch(name) is not None
