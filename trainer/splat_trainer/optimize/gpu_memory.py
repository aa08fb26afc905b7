"""How much GPU memory a training takes at its peak, by what was measured of trainings."""

from splat_trainer.optimize.growth_plan import CaptureSize

BYTES_A_GAUSSIAN = 2_000
"""59 numbers, their gradients and two moments of Adam are 944 bytes; the rest is what a step
keeps for its way back, recorded as a CUDA graph, and copies while Gaussians are added."""

BYTES_A_PIXEL = 300
"""Of the largest image: what rendering and the loss keep of each pixel, and lists of its tiles."""

_IMAGE_BYTES_A_PIXEL = 3


def peak_gpu_bytes(capture: CaptureSize, largest_pixels: int, gaussians: int) -> int:
    """Estimate the peak, within a fifth of what it was from 30,000 to 1.2 million Gaussians."""
    images = _IMAGE_BYTES_A_PIXEL * capture.pixels
    return images + BYTES_A_PIXEL * largest_pixels + BYTES_A_GAUSSIAN * gaussians
