"""SPZ as gsply, which is not ours, reads it."""

from pathlib import Path
from typing import Any

import gsply


def read_spz(path: Path) -> Any:
    """Read by gsply's C++ where its wheel has it: its Python compiles itself for seconds first."""
    gsply.use_backend("auto")
    try:
        return gsply.read_spz(path)
    finally:
        gsply.use_backend("python")
