"""Local folders and S3 behind one small interface."""

from splat_trainer.storage.base import Entry, Storage
from splat_trainer.storage.fetch import fetch_capture
from splat_trainer.storage.output import Output, open_output

__all__ = ["Entry", "Output", "Storage", "fetch_capture", "open_output"]
