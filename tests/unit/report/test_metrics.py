import json

from splat_trainer.report.metrics import Metrics
from tests.unit.report import runs


def test_metrics_are_read_back_as_they_were_written() -> None:
    metrics = runs.metrics()
    assert Metrics.model_validate_json(metrics.model_dump_json()) == metrics


def test_metrics_of_runs_that_did_not_count_missing_images_are_read() -> None:
    written = json.loads(runs.metrics().model_dump_json())
    del written["capture"]["missingImages"]
    assert Metrics.model_validate(written).capture.missing_images is None


def test_metrics_use_the_names_of_the_other_documents() -> None:
    written = json.loads(runs.metrics().model_dump_json())
    assert written["peakGpuMemoryBytes"] == 2_540_000_000
    assert written["iterationsPerSecond"] == 214.6
    assert written["views"][0] == {"name": "IMG_0001.JPG", "psnr": 30.1, "ssim": 0.93}
    assert written["seconds"]["train"] == 32.6
