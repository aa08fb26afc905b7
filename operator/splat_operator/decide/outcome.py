"""What a training came to, out of the trainer's result document: its figures and its files."""

from typing import Any

from splat_operator.api.spec import SplatTrainingSpec
from splat_operator.decide.address import address
from splat_operator.decide.ending import result_of
from splat_operator.decide.quality import below_gate
from splat_operator.decide.shown import shown_count, shown_message, shown_number
from splat_operator.world import Pod
from splat_trainer.contract import OutputFile, ResultDocument, SplatFormat

_OUTPUTS_LIMIT = 64


def outcome(spec: SplatTrainingSpec | None, pods: tuple[Pod, ...]) -> dict[str, Any]:
    """Give `result`, `outputs` and `gpu`, as far as the pods have told them.

    Where files lie is known by the spec alone: of one that cannot be read none are told.
    """
    results = [result for result in map(result_of, pods) if result]
    shown: dict[str, Any] = {}
    if not results:
        return shown
    last = results[-1]
    figures = _figures(spec, last)
    if figures:
        shown["result"] = figures
    if last.outputs and spec:
        shown["outputs"] = [_output(spec, file) for file in _splat_first(last.outputs)]
    if last.gpu:
        shown["gpu"] = shown_message(last.gpu)[:128]
    return shown


def _figures(spec: SplatTrainingSpec | None, result: ResultDocument) -> dict[str, Any]:
    figures = {
        "psnr": shown_number(result.psnr, 2),
        "ssim": shown_number(result.ssim, 4),
        "iterations": shown_count(result.iterations),
        "gaussians": shown_count(result.gaussians),
        "trainSeconds": shown_count(result.train_seconds),
        "totalSeconds": shown_count(result.total_seconds),
        "peakGpuMemoryBytes": shown_count(result.peak_gpu_memory_bytes),
    }
    if spec and spec.quality_gate and result.exit_code == 0:
        missed = below_gate(spec.quality_gate, result)
        figures["qualityGate"] = "Failed" if missed else "Passed"
    return {name: value for name, value in figures.items() if value is not None}


def _splat_first(files: tuple[OutputFile, ...]) -> list[OutputFile]:
    """Give the PLY, then the splat's other formats, then the rest, each as the trainer had them."""

    def rank(file: OutputFile) -> int:
        if file.format == SplatFormat.PLY:
            return 0
        return 1 if file.format in set(SplatFormat) else 2

    return sorted(files, key=rank)[:_OUTPUTS_LIMIT]


def _output(spec: SplatTrainingSpec, file: OutputFile) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "format": shown_message(file.format)[:64],
        "uri": address(spec, file.uri),
        "bytes": shown_count(file.bytes),
    }
    if file.sha256:
        shown["sha256"] = shown_message(file.sha256)[:64]
    return shown
