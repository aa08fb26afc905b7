"""The volumes of the trainer's pod, and where it finds them."""

from dataclasses import dataclass, field
from typing import Any

from splat_operator.api import SplatTrainingSpec, names
from splat_operator.api.checkpoint import CheckpointPlace
from splat_operator.api.storage import ClaimLocation, Output, Source
from splat_operator.decide.job_name import job_name
from splat_operator.decide.kernels.plan import KERNELS_FOLDER, KernelPlan
from splat_operator.world import Installation, Training

SOURCE_FOLDER = "/data"
OUTPUT_FOLDER = "/output"
CHECKPOINTS_FOLDER = "/checkpoints"
PROGRESS_FOLDER = "/var/run/splat"
PROGRESS_TOKEN = f"{PROGRESS_FOLDER}/token"
PROGRESS_CA = f"{PROGRESS_FOLDER}/ca.crt"

_TOKEN_SECONDS = 3600
"""The kubelet renews a token when four fifths of this are over."""


@dataclass(frozen=True)
class Mounts:
    """Volumes and mounts, as a pod's spec has them, and the places to tell the trainer."""

    source: str
    output: str
    checkpoints: str | None
    """None for beside the output."""
    kernels: str | None
    volumes: list[dict[str, Any]] = field(default_factory=list)
    mounts: list[dict[str, Any]] = field(default_factory=list)

    def add(self, name: str, path: str, volume: dict[str, Any], **options: Any) -> None:
        """Mount one volume at one path.

        A claim is one volume however often it is mounted: under two names the kubelet would wait
        for the second for ever.
        """
        same = (one["name"] for one in self.volumes if _claim_of(one) == _claim_of(volume) != "")
        found = next(same, None)
        if found is None:
            self.volumes.append({"name": name, **volume})
        self.mounts.append({"name": found or name, "mountPath": path, **options})


def mounts(
    installation: Installation, training: Training, spec: SplatTrainingSpec, kernels: KernelPlan
) -> Mounts:
    """Give all that is mounted: what is read, what is written, and scratch."""
    kept = spec.checkpoint.where if spec.checkpoint else None
    found = Mounts(
        source=_place(spec.source, SOURCE_FOLDER),
        output=_place(spec.output, OUTPUT_FOLDER),
        # Many may name one place, and each removes what it finds there of others.
        checkpoints=_inside(_place(kept, CHECKPOINTS_FOLDER), job_name(training)) if kept else None,
        kernels=kernels.folder if kernels.cached else None,
    )
    # The root file system is read-only: downloads, archives and caches go here.
    found.add("tmp", "/tmp", {"emptyDir": {}})  # noqa: S108 - the pod's own volume
    size = _shared_memory(spec)
    if size != "0":
        found.add(
            "shm",
            "/dev/shm",  # noqa: S108 - the pod's own volume
            {"emptyDir": {"medium": "Memory", "sizeLimit": size}},
        )
    source, output = spec.source.persistent_volume_claim, spec.output.persistent_volume_claim
    if source:
        found.add("source", SOURCE_FOLDER, _claim(source.claim_name), readOnly=True)
    if output:
        found.add("output", OUTPUT_FOLDER, _claim(output.claim_name))
    if kept and kept.persistent_volume_claim:
        claim = _claim(kept.persistent_volume_claim.claim_name)
        found.add("checkpoints", CHECKPOINTS_FOLDER, claim)
    if kernels.cached:
        found.add("kernels", KERNELS_FOLDER, kernels.volume, readOnly=True)
    if installation.progress_url:
        found.add("progress", PROGRESS_FOLDER, _progress_volume(), readOnly=True)
    return found


def _shared_memory(spec: SplatTrainingSpec) -> str:
    """NCCL's buffers between two GPUs lie there where they cannot reach each other's memory."""
    return spec.resources.shared_memory or f"{max(1, spec.resources.gpus)}Gi"


def _place(location: Source | Output | CheckpointPlace, folder: str) -> str:
    if location.s3:
        return location.s3.uri
    claim: ClaimLocation | None = location.persistent_volume_claim
    return _inside(folder, (claim.path if claim else None) or "")


def _inside(folder: str, path: str) -> str:
    return f"{folder.rstrip('/')}/{path.strip('/')}".rstrip("/")


def _claim(name: str) -> dict[str, Any]:
    # Read-only is said of the mount, not of the volume: a claim that is mounted twice, once to
    # read and once to write, could not be both.
    return {"persistentVolumeClaim": {"claimName": name}}


def _claim_of(volume: dict[str, Any]) -> str:
    return str(volume.get("persistentVolumeClaim", {}).get("claimName", ""))


def _progress_volume() -> dict[str, Any]:
    """A token that is bound to this pod and good for nothing but progress, and whom to trust.

    The authority comes by an annotation of the pod, so that nothing need be made in the
    training's namespace.
    """
    return {
        "projected": {
            "sources": [
                {
                    "serviceAccountToken": {
                        "audience": names.PROGRESS_AUDIENCE,
                        "expirationSeconds": _TOKEN_SECONDS,
                        "path": "token",
                    }
                },
                {
                    "downwardAPI": {
                        "items": [
                            {
                                "path": "ca.crt",
                                "fieldRef": {
                                    "fieldPath": "metadata.annotations"
                                    f"['{names.PROGRESS_CA_ANNOTATION}']"
                                },
                            }
                        ]
                    }
                },
            ]
        }
    }
