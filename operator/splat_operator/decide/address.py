"""Where a file of a training is, for somebody outside of its pod."""

from splat_operator.api import SplatTrainingSpec
from splat_operator.api.storage import ClaimLocation
from splat_operator.decide.mounts import CHECKPOINTS_FOLDER, OUTPUT_FOLDER
from splat_operator.decide.shown import shown_message

_LIMIT = 2048


def address(spec: SplatTrainingSpec, uri: str) -> str:
    """Give a file's place as a status shows it: by a claim's name, not by where it is mounted."""
    for folder, claim in _claims(spec):
        if claim and uri.startswith(f"{folder}/"):
            uri = f"pvc://{claim.claim_name}{uri.removeprefix(folder)}"
    return shown_message(uri)[:_LIMIT]


def _claims(spec: SplatTrainingSpec) -> list[tuple[str, ClaimLocation | None]]:
    """Give what the trainer may have written to, by where that was mounted."""
    kept = spec.checkpoint.where if spec.checkpoint else None
    return [
        (OUTPUT_FOLDER, spec.output.persistent_volume_claim),
        (CHECKPOINTS_FOLDER, kept.persistent_volume_claim if kept else None),
    ]
