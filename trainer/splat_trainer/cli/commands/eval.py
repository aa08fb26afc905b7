"""`splat-trainer eval`: how well a splat renders the held-out photos of its capture."""

from pathlib import Path

from splat_trainer.capture.load import load_scene
from splat_trainer.capture.scene import Scene
from splat_trainer.cli.formats import refuse_what_is_only_written
from splat_trainer.cli.invocation import Invocation
from splat_trainer.cli.workspace import open_scratch
from splat_trainer.contract import ExitCode, Reason, TrainConfig, TrainerError
from splat_trainer.contract.model import Document
from splat_trainer.gaussians.formats.ply import read_ply
from splat_trainer.gaussians.gaussians import Gaussians
from splat_trainer.gaussians.transform import transform
from splat_trainer.report.metrics import ViewScore
from splat_trainer.report.previews import PreviewWriter
from splat_trainer.storage import fetch_capture
from splat_trainer.train.checkpoint import load_checkpoint
from splat_trainer.train.device import choose_device
from splat_trainer.train.evaluation import evaluate


class EvaluationDocument(Document):
    """What `eval --json` prints."""

    psnr: float
    ssim: float
    gaussians: int
    views: tuple[ViewScore, ...]


def run(invocation: Invocation) -> ExitCode:
    """Measure, and print the figures."""
    arguments = invocation.arguments
    refuse_what_is_only_written(arguments.splat)
    config = invocation.config()
    device = choose_device(config.device)
    with open_scratch() as scratch:
        folder = fetch_capture(arguments.data, scratch, endpoint=arguments.endpoint_url)
        scene = load_scene(folder, config)
    if not scene.test_views:
        raise TrainerError(
            Reason.INVALID_CONFIGURATION,
            "no view is held out, so there is none to measure: set --holdout-every to 2 or more",
        )
    gaussians = _read_splat(arguments.splat, scene, config)
    names = [view.name for view in scene.test_views]
    previews = PreviewWriter(arguments.previews, names) if arguments.previews else None
    evaluation = evaluate(
        gaussians,
        scene.test_views,
        device=device,
        on_render=lambda view, image: (
            previews.add(view.name, view.image, image) if previews else None
        ),
    )
    if previews:
        previews.previews()  # have all been written
    document = EvaluationDocument(
        psnr=evaluation.psnr,
        ssim=evaluation.ssim,
        gaussians=len(gaussians),
        views=tuple(ViewScore(name=v.name, psnr=v.psnr, ssim=v.ssim) for v in evaluation.views),
    )
    print(document.model_dump_json() if arguments.json else _table(document))
    return ExitCode.DONE


def _read_splat(path: Path, scene: Scene, config: TrainConfig) -> Gaussians:
    """Read a PLY or a checkpoint into the normalised world, where the views are."""
    if path.suffix.lower() == ".ply":
        gaussians = read_ply(path)
        if config.frame == "capture":
            return transform(gaussians, scene.normalized_from_capture)
        return gaussians
    return load_checkpoint(path).gaussians


def _table(document: EvaluationDocument) -> str:
    width = max(len(view.name) for view in document.views)
    lines = [
        f"{view.name:<{width}}  {view.psnr:6.2f} dB  SSIM {view.ssim:.3f}"
        for view in document.views
    ]
    lines.append(
        f"{'mean of ' + str(len(document.views)):<{width}}  {document.psnr:6.2f} dB  "
        f"SSIM {document.ssim:.3f}  {document.gaussians:,} Gaussians"
    )
    return "\n".join(lines)
