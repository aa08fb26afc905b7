"""Matches the images of a model with the files of a folder, and decodes them in parallel."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from splat_trainer.capture.camera import Camera
from splat_trainer.capture.folders import (
    CaptureFolders,
    find_image,
    find_mask,
    first_file_name,
    mask_names,
)
from splat_trainer.capture.memory import readers
from splat_trainer.capture.model import ColmapModel, PosedImage
from splat_trainer.capture.pixels import header_size
from splat_trainer.contract import TrainerError
from splat_trainer.contract.failure import shown

Result = TypeVar("Result")


@dataclass(frozen=True)
class Source:
    """A posed image, its camera, and the files that hold its pixels and its mask."""

    image: PosedImage
    camera: Camera
    path: Path
    mask: Path | None


@dataclass(frozen=True)
class MaskGap:
    """Photos without a mask beside a folder of masks: all of them, or some, maybe on purpose."""

    of_all: bool
    told: str


def find_sources(model: ColmapModel, folders: CaptureFolders) -> tuple[list[Source], list[str]]:
    """Give what was found, sorted by name, and the names of the images that have no file."""
    found, absent = [], []
    for image in model.images:
        path = find_image(folders.images, image.name)
        if path is None:
            absent.append(image.name)
        else:
            mask = find_mask(folders.masks, image.name)
            found.append(Source(image, model.cameras[image.camera_id], path, mask))
    return found, absent


def mask_gap(sources: Sequence[Source], masks: Path | None) -> MaskGap | None:
    """Say which photos find no mask in a folder that has files; None where all do."""
    names = [source.image.name for source in sources if source.mask is None]
    if masks is None or not names or (there := first_file_name(masks)) is None:
        return None
    looked_for = " or ".join(shown(str(name)) for name in mask_names(names[0]))
    if len(names) == len(sources):
        told = (
            f"none of {len(sources)} images finds a mask in {masks}: looked for {looked_for}, "
            f"and so on, and the folder begins with {shown(there)}"
        )
    else:
        told = (
            f"{len(names)} of {len(sources)} images, {shown(names[0])} first, find no mask in "
            f"{masks} (looked for {looked_for}): nothing of them is hidden"
        )
    return MaskGap(len(names) == len(sources), told)


def stored_size(source: Source) -> tuple[int, int]:
    """Give the (width, height) that the file's header tells; the camera's where it tells none."""
    return header_size(source.path) or (source.camera.width, source.camera.height)


def read_all(
    sources: Sequence[Source], sizes: Sequence[tuple[int, int]], read: Callable[[Source], Result]
) -> tuple[list[Result], list[TrainerError]]:
    """Read the sources on several threads: decoding and resampling leave Python's lock alone.

    As many at once as there are processors, and memory for what they have in hand, by the
    `sizes` of their images. Results and failures are in the order of the sources.
    """

    def attempt(source: Source) -> Result | TrainerError:
        try:
            return read(source)
        except TrainerError as error:
            return error

    with ThreadPoolExecutor(readers([width * height for width, height in sizes])) as pool:
        outcomes = list(pool.map(attempt, sources))
    failures = [outcome for outcome in outcomes if isinstance(outcome, TrainerError)]
    return [outcome for outcome in outcomes if not isinstance(outcome, TrainerError)], failures
