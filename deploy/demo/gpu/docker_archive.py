"""Writes a docker-archive: several images over shared layers, for `ctr image import`."""

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Image:
    """One image of an archive; the layers are uncompressed tars, lowest first."""

    reference: str
    layers: Sequence[Path]
    entrypoint: Sequence[str]
    environment: Mapping[str, str]
    user: str


def write_archive(archive: Path, images: Sequence[Image]) -> None:
    """Write `images`; a layer that several share is stored once."""
    digests = {layer: _sha256(layer) for image in images for layer in image.layers}
    manifest = []
    with tarfile.open(archive, "w") as tar:
        for layer, digest in digests.items():
            tar.add(layer, arcname=f"{digest}.tar")
        for image in images:
            config = _config(image, [digests[layer] for layer in image.layers])
            name = f"{hashlib.sha256(config).hexdigest()}.json"
            _add_bytes(tar, name, config)
            manifest.append(
                {
                    "Config": name,
                    "RepoTags": [image.reference],
                    "Layers": [f"{digests[layer]}.tar" for layer in image.layers],
                }
            )
        _add_bytes(tar, "manifest.json", json.dumps(manifest).encode())


def _config(image: Image, digests: Sequence[str]) -> bytes:
    return json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {
                "Entrypoint": list(image.entrypoint),
                "Env": [f"{name}={value}" for name, value in image.environment.items()],
                "User": image.user,
            },
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}" for digest in digests]},
        }
    ).encode()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _add_bytes(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    tar.addfile(entry, io.BytesIO(content))
