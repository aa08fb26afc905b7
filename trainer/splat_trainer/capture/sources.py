"""Matches the images of a model with the files of a folder, and decodes them in parallel."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypeVar

from splat_trainer.capture.camera import Camera
from splat_trainer.capture.folders import (
    CaptureFolders,
    find_converted_image,
    find_image,
    find_mask,
    first_file_name,
    mask_names,
    suffixes_in,
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
class Found:
    """The images of a model that have a file, sorted by name, and the names of those without.

    `converted` are those of them whose file has another suffix than the model says.
    """

    sources: tuple[Source, ...]
    converted: tuple[Source, ...]
    absent: tuple[str, ...]

    def conversion(self) -> str | None:
        """A line on the images that have another suffix; None without any."""
        if not self.converted:
            return None
        first = self.converted[0]
        return (
            f"{len(self.converted)} of {len(self.sources)} images have another suffix than in the "
            f"model: {shown(first.image.name)}, the first, is read from {shown(first.path.name)}"
        )


@dataclass(frozen=True)
class MaskGap:
    """Photos without a mask beside a folder of masks: all of them, or some, maybe on purpose."""

    of_all: bool
    told: str


def find_sources(model: ColmapModel, folders: CaptureFolders) -> Found:
    """Look for the file and the mask of each image."""
    suffixes = cache(suffixes_in)  # read where a file is missing
    sources, converted, absent = [], [], []
    for image in model.images:
        path = find_image(folders.images, image.name)
        own = path is not None
        if path is None:
            there = suffixes(folders.images)
            path = find_converted_image(folders.images, image.name, there)
        if path is None:
            absent.append(image.name)
            continue
        mask = find_mask(folders.masks, image.name)
        sources.append(Source(image, model.cameras[image.camera_id], path, mask))
        if not own:
            converted.append(sources[-1])
    return Found(tuple(sources), tuple(converted), tuple(absent))


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
