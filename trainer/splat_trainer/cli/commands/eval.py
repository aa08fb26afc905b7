"""`splat-trainer eval`: how well a splat renders the held-out photos of its capture."""

from dataclasses import dataclass
from pathlib import Path

from splat_trainer.capture.load import load_scene
from splat_trainer.cli.formats import refuse_what_is_only_written
from splat_trainer.cli.invocation import Invocation
from splat_trainer.cli.workspace import open_scratch
from splat_trainer.contract import ExitCode, Reason, TrainerError, layout
from splat_trainer.contract.config import Lens
from splat_trainer.contract.model import Document
from splat_trainer.gaussians.formats.ply import read_ply
from splat_trainer.gaussians.gaussians import Gaussians
from splat_trainer.gaussians.transform import transform
from splat_trainer.report.metrics import Metrics, ViewScore
from splat_trainer.report.previews import PreviewWriter
from splat_trainer.storage import fetch_capture
from splat_trainer.storage.fault import local_faults
from splat_trainer.storage.local import LocalStorage
from splat_trainer.train.checkpoint import NoCheckpointError, load_checkpoint
from splat_trainer.train.device import choose_device
from splat_trainer.train.evaluation import evaluate


class EvaluationDocument(Document):
    """What `eval --json` prints."""

    psnr: float
    ssim: float
    gaussians: int
    views: tuple[ViewScore, ...]


def run(invocation: Invocation) -> ExitCode:
    """Measure, and print the figures.

    What can be wrong is told in the order of what it costs to find, as by a training.
    """
    arguments = invocation.arguments
    refuse_what_is_only_written(arguments.splat)
    config = invocation.config()
    if arguments.previews:
        LocalStorage(arguments.previews).check_writable()
    device = choose_device(config.device)
    splat = _read_splat(arguments.splat)
    if "lens" not in config.model_fields_set:
        config = config.model_copy(update={"lens": splat.lens})
    with open_scratch() as scratch:
        folder = fetch_capture(arguments.data, scratch, endpoint=arguments.endpoint_url)
        scene = load_scene(folder, config)
    if not scene.test_views:
        raise TrainerError(
            Reason.INVALID_CONFIGURATION,
            "no view is held out, so there is none to measure: set --holdout-every to 2 or more",
        )
    gaussians = splat.gaussians
    if splat.exported and config.frame == "capture":
        gaussians = transform(gaussians, scene.normalized_from_capture)
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
        with local_faults("write", arguments.previews):
            previews.previews()  # have all been written
    document = EvaluationDocument(
        psnr=evaluation.psnr,
        ssim=evaluation.ssim,
        gaussians=len(gaussians),
        views=tuple(ViewScore(name=v.name, psnr=v.psnr, ssim=v.ssim) for v in evaluation.views),
    )
    print(document.model_dump_json() if arguments.json else _table(document))
    return ExitCode.DONE


@dataclass(frozen=True)
class _Splat:
    """What is measured, and which lens the photos had that it was trained on."""

    gaussians: Gaussians
    exported: bool
    lens: Lens


def _read_splat(path: Path) -> _Splat:
    if path.suffix.lower() == ".ply":
        return _Splat(read_ply(path), True, _lens_in(path.with_name(layout.METRICS)))
    try:
        checkpoint = load_checkpoint(path)
    except NoCheckpointError as error:
        raise TrainerError(
            error.reason,
            f"{path} is neither a 3DGS .ply nor a whole checkpoint (.pt) of this trainer: nothing "
            "else is read",
        ) from error
    return _Splat(checkpoint.gaussians, False, checkpoint.config.lens)


def _lens_in(metrics: Path) -> Lens:
    """What a training's own figures tell of the lens, where they lie beside its splat.

    Where they do not, the splat may be any program's: those train on the photos as they are.
    """
    try:
        told = Metrics.model_validate_json(metrics.read_bytes()).capture.lens
    except (OSError, ValueError):
        return "model"
    return "fit" if told else "model"


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
