"""JSON from outside, decoded whatever it is: `json.loads` fails on what is nested deeply.

It calls itself at each level, and raises RecursionError after one or several thousand. One object
that somebody made so would make the list unreadable in which it stands, with all others.
"""

import json
import re
from typing import Any

DEPTH = 100
"""Levels that are kept. A list's items are two levels down, so that what is cut in a training
still is deeper than `api.depth` takes: it is the spec's validation that tells the user."""

TOO_DEEP = f"nested deeper than {DEPTH} levels"
"""Stands where something was cut off."""

_TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{}]', re.DOTALL)


def loads(text: str | bytes) -> Any:
    """Decode; what is nested deeper than anybody reads is replaced by words that say so."""
    try:
        return json.loads(text)
    except RecursionError:
        return json.loads(_cut(text if isinstance(text, str) else text.decode()))


def _cut(text: str) -> str:
    """Replace what is nested too deeply, without calling itself."""
    kept: list[str] = []
    depth = begin = 0
    for token in _TOKEN.finditer(text):
        found = token[0]
        if found in "[{":
            depth += 1
            if depth == DEPTH + 1:
                kept.append(text[begin : token.start()])
        elif found in "]}":
            if depth == DEPTH + 1:
                kept.append(json.dumps(TOO_DEEP))
                begin = token.end()
            depth -= 1
    # Where the text breaks off inside, it is no JSON, and the decoder must come to say so.
    return "".join(kept) + ("" if depth > DEPTH else text[begin:])
