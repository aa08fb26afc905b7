"""Finds the parts of a capture: the model, the image folder, the masks."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from splat_trainer.capture.colmap_model import model_suffix
from splat_trainer.capture.fault import invalid, missing, reading
from splat_trainer.contract.failure import shown

MODEL_FOLDERS = ("sparse/0", "sparse", "colmap/sparse/0", ".")
IMAGE_FOLDERS = ("images", "images_2", "images_4", "images_8", "input")
MASK_FOLDER = "masks"
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".JPG", ".JPEG", ".PNG")
_MODEL_DEPTH = 2
"""How many folders above a model given by itself its images may lie."""


@dataclass(frozen=True)
class CaptureFolders:
    """Where a capture's parts lie; `masks` is None where it has none."""

    model: Path
    images: Path
    masks: Path | None


def find_folders(folder: Path) -> CaptureFolders:
    """Find the parts of the capture in `folder`."""
    with reading(folder):
        return _find_folders(folder)


def _find_folders(folder: Path) -> CaptureFolders:
    if not folder.is_dir():
        what = "is a file, not a folder" if folder.exists() else "is not there"
        raise missing(f"the capture {folder} {what}")
    model = next((folder / sub for sub in MODEL_FOLDERS if model_suffix(folder / sub)), None)
    if model is None:
        raise missing(
            f"{folder} holds no COLMAP model: looked for cameras and images, .bin or .txt, in "
            + ", ".join(MODEL_FOLDERS)
        )
    roots = [folder]
    if model == folder / ".":
        roots += list(folder.resolve().parents)[:_MODEL_DEPTH]
    for root in roots:
        for sub in IMAGE_FOLDERS:
            if (root / sub).is_dir():
                masks = root / MASK_FOLDER
                return CaptureFolders(model, root / sub, masks if masks.is_dir() else None)
    raise missing(f"{folder} holds no folder of images: looked for {', '.join(IMAGE_FOLDERS)}")


def find_image(images: Path, name: str) -> Path | None:
    """Find the file of the image `name`; its suffix may be in the other case."""
    path = images / _inside(name)
    suffix = path.suffix
    return _first_file(path.with_suffix(one) for one in (suffix, suffix.lower(), suffix.upper()))


def find_converted_image(images: Path, name: str, there: Collection[str]) -> Path | None:
    """Find the file of the image `name` with another suffix, as in images_2 and so on.

    Only where its own is not among the suffixes of the files that are `there`: beside photos that
    were not converted, a file of the same stem is something else, such as a depth map.
    """
    path = images / _inside(name)
    if path.suffix and path.suffix in there:
        return None
    return _first_file(path.with_suffix(suffix) for suffix in IMAGE_SUFFIXES)


def suffixes_in(folder: Path) -> frozenset[str]:
    """The suffixes of all files in `folder`."""
    with reading(folder):
        return frozenset(path.suffix for path in folder.rglob("*") if path.is_file())


def find_mask(masks: Path | None, name: str) -> Path | None:
    """Find the mask of the image `name`, by one of `mask_names`."""
    return None if masks is None else _first_file(masks / one for one in mask_names(name))


def mask_names(name: str) -> tuple[PurePosixPath, PurePosixPath]:
    """Names of the mask of the image `name`: `a/b.jpg.png`, as COLMAP has it, and `a/b.png`."""
    path = _inside(name)
    return path.with_name(path.name + ".png"), path.with_suffix(".png")


def first_file_name(folder: Path) -> str | None:
    """The first file in `folder` by name, hidden ones aside, relative to it; None without any."""
    with reading(folder):
        paths = [path for path in folder.rglob("[!.]*") if path.is_file()]
    return min((path.relative_to(folder).as_posix() for path in paths), default=None)


def _first_file(candidates: Iterable[Path]) -> Path | None:
    for path in candidates:
        with reading(path):
            if path.is_file():
                return path
    return None


def _inside(name: str) -> PurePosixPath:
    """Turn the name of an image into a relative path that stays where it is put."""
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or not path.name or "\0" in name:
        raise invalid(f"the image name {shown(name)} leads out of the folder of images")
    return path
