import pytest

from splat_trainer.optimize.gpu_memory import peak_gpu_bytes
from splat_trainer.optimize.growth_plan import CaptureSize


@pytest.mark.parametrize(
    ("views", "width", "height", "gaussians", "peak"),
    [
        (255, 800, 533, 1_207_387, 2.78e9),
        (255, 800, 533, 1_007_988, 2.52e9),
        (255, 800, 533, 697_602, 1.77e9),
        (255, 800, 533, 456_124, 1.29e9),
        (255, 800, 533, 134_053, 0.66e9),
        (88, 946, 532, 143_571, 0.53e9),
        (88, 946, 532, 93_874, 0.44e9),
        (17, 497, 372, 46_304, 0.16e9),
        (17, 497, 372, 30_275, 0.12e9),
        (62, 720, 1280, 128_316, 0.81e9),
        (62, 720, 1280, 83_899, 0.67e9),
    ],
)
def test_the_estimate_is_within_a_fifth_of_what_was_measured(
    views: int, width: int, height: int, gaussians: int, peak: float
) -> None:
    """The peaks are those of docs/benchmarks.md, one H200."""
    size = CaptureSize(views, views * width * height, 10_000)
    assert peak_gpu_bytes(size, width * height, gaussians) == pytest.approx(peak, rel=0.2)
