"""A small capture with a known answer: solids on a floor, ray cast, with an exact model."""

from splat_trainer.capture.synthetic.make import make_synthetic_capture

__all__ = ["make_synthetic_capture"]
