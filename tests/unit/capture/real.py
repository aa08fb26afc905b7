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


def real_subset(name: str, folder: Path, every: int) -> Path:
    """Give every n-th image of a real capture, beside its whole model, in `folder`."""
    model = real(name)
    images = next(root / "images" for root in (model, *model.parents) if (root / "images").is_dir())
    (folder / "sparse").mkdir()
    (folder / "sparse" / "0").symlink_to(model if "sparse" in name else model / "sparse" / "0")
    (folder / "images").mkdir()
    for path in sorted(images.iterdir())[::every]:
        (folder / "images" / path.name).symlink_to(path)
    return folder
