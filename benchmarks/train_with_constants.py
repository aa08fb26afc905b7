"""One training whose schedule has other constants, in this process; prints its row as JSON.

    python -m benchmarks.train_with_constants CAPTURE VARIANT

It is what benchmarks/train.py starts for `--constant` and `--ablation`; `VARIANT` is a `Variant` of
benchmarks/training_runs.py as JSON.
"""

import json
import os
import platform
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import torch

from benchmarks.training_runs import Row, Run, Variant, scene_name
from splat_trainer.capture.load import load_scene
from splat_trainer.contract import ProgressDocument, Stage, TrainConfig
from splat_trainer.optimize.schedule import schedule_for
from splat_trainer.train.loop import train


class _Telling:
    """Tells standard error of every stage, and of a step now and then."""

    def stage(self, stage: Stage) -> None:
        print(f"{stage}", file=sys.stderr, flush=True)

    def progress(self, document: ProgressDocument) -> None:
        if document.iteration % 50 == 0 or document.iteration == document.iterations:
            print(document.model_dump_json(exclude_none=True), file=sys.stderr, flush=True)


def main() -> None:
    """Train as the arguments say."""
    capture, variant = sys.argv[1:]
    print(json.dumps(_train(Run(Path(capture), Variant(**json.loads(variant))))))


def _train(run: Run) -> Row:
    config = TrainConfig.model_validate(dict(run.variant.settings))
    scene = load_scene(run.capture, config)
    with tempfile.TemporaryDirectory() as folder:
        outcome = train(
            scene,
            config,
            work_dir=Path(folder),
            observer=_Telling(),
            schedule=replace(schedule_for(config), **run.variant.constants),
        )
    evaluation, peak = outcome.evaluation, outcome.peak_gpu_memory_bytes
    return {
        "scene": scene_name(run.capture),
        "what": run.variant.name,
        "steps": outcome.iterations,
        "PSNR": evaluation.psnr if evaluation else None,
        "SSIM": evaluation.ssim if evaluation else None,
        "Gaussians": len(outcome.gaussians),
        "steps/s": outcome.iterations_per_second,
        "peak GB": peak / 1e9 if peak else None,
        "train": outcome.timings.train,
        "lens": scene.lens,
        "machine": {
            "gpu": outcome.gpu,
            "cores": len(os.sched_getaffinity(0)),
            "torch": torch.__version__,
            "python": platform.python_version(),
        },
    }


if __name__ == "__main__":
    main()
