"""The tracks of a model: which point was seen where in which image."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from splat_trainer.capture import colmap_binary, colmap_text
from splat_trainer.capture.colmap_model import model_suffix
from splat_trainer.capture.model import ColmapModel


@dataclass(frozen=True)
class Tracks:
    """M observations: `xy` [M, 2] in pixels of point `points` [M] in image `images` [M].

    Both are rows of the model's own lists. They are in the order of images.
    """

    xy: NDArray[np.float64]
    points: NDArray[np.int64]
    images: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.points)

    def select(self, rows: NDArray[np.bool_]) -> "Tracks":
        """Those observations for which `rows` [M] is true."""
        return Tracks(self.xy[rows], self.points[rows], self.images[rows])


def read_tracks(model: ColmapModel) -> Tracks:
    """Read the tracks of a model that was read before; what fits to no point is left out."""
    suffix = model_suffix(model.folder)
    reader = colmap_binary if suffix == ".bin" else colmap_text
    observations = reader.read_observations(model.folder / f"images{suffix}")
    ids = model.points.ids
    order = np.argsort(ids, kind="stable")
    seen = [observations[image.image_id] for image in model.images]
    counts = [len(one.point_ids) for one in seen]
    wanted = np.concatenate([one.point_ids for one in seen])
    xy = np.concatenate([one.xy for one in seen]).astype(np.float64)
    place = np.searchsorted(ids, wanted, sorter=order).clip(max=len(ids) - 1)
    points = order[place]
    good = (ids[points] == wanted) & np.isfinite(xy).all(axis=1)
    images = np.repeat(np.arange(len(seen)), counts)
    return Tracks(xy[good], points[good], images[good])
