"""Which compiled kernels a run trained with."""

from enum import StrEnum

from pydantic import Field

from splat_trainer.contract.model import Document


class KernelsSource(StrEnum):
    """Where the kernels of a run came from."""

    CACHE = "Cache"  # the folder that SPLAT_KERNELS_DIR names, by their key
    IMAGE = "Image"  # compiled when the image was built
    FOLDER = "Folder"  # a bare library in the folder that SPLAT_KERNELS_DIR names
    COMPILED = "Compiled"  # by the run itself, for itself


class KernelsUse(Document):
    """The kernels that a run trained with."""

    source: KernelsSource
    key: str | None = Field(None, description="Absent for a bare library, which has none.")
    seconds: float = Field(ge=0, description="To find, verify and load them, or to compile them.")
    refused: str | None = Field(
        None, description="Why the cache's own were not taken, where a run compiled for itself."
    )
