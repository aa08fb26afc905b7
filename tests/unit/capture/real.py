"""The real captures that lie beside the checkout, where they do."""

from pathlib import Path

import pytest

SHARED = Path(__file__).parents[4] / "shared" / "data"
SCENES = ("bonsai", "binbin101", "fern", "beer")
MODELS = (*(f"{scene}/sparse/0" for scene in SCENES), "bonsai/sparse_opencv/0")


def real(name: str) -> Path:
    """Give a folder below ../shared/data, or skip the test."""
    folder = SHARED / name
    if not folder.is_dir():
        pytest.skip(f"no real captures beside the checkout: {name} is not in ../shared/data")
    return folder
