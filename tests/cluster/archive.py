"""Container images made of a few static files, without a builder or a registry."""

from __future__ import annotations

import hashlib
import io
import json
import platform
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path


def write_image(
    archive: Path,
    name: str,
    files: Mapping[str, Path],
    links: Mapping[str, str] | None = None,
    entrypoint: Sequence[str] = (),
    folders: Sequence[str] = (),
) -> None:
    """Write a docker-archive (image spec v1.2) of one layer, the same bytes each time.

    `files` are executables by their path in the image, `links` are symbolic links, `folders`
    are writable by everyone, as /tmp is. The image runs as user 65532.
    """
    layer = _tar(
        [_folder(path) for path in folders]
        + [_executable(path, source) for path, source in files.items()]
        + [_link(path, target) for path, target in (links or {}).items()]
    )
    layer_name = f"{hashlib.sha256(layer).hexdigest()}.tar"
    configuration = json.dumps(
        {
            "architecture": {"aarch64": "arm64"}.get(platform.machine(), "amd64"),
            "os": "linux",
            "config": {
                "Entrypoint": list(entrypoint) or None,
                "Env": ["PATH=/bin:/usr/bin"],
                "User": "65532:65532",
            },
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer_name[:-4]}"]},
        }
    ).encode()
    configuration_name = f"{hashlib.sha256(configuration).hexdigest()}.json"
    manifest = [{"Config": configuration_name, "RepoTags": [name], "Layers": [layer_name]}]
    contents = {
        configuration_name: configuration,
        layer_name: layer,
        "manifest.json": json.dumps(manifest).encode(),
    }
    archive.write_bytes(_tar([_plain(path, data) for path, data in contents.items()]))


Member = tuple[tarfile.TarInfo, bytes]


def _tar(members: Sequence[Member]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for info, data in members:
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def _plain(path: str, data: bytes) -> Member:
    return tarfile.TarInfo(path), data


def _executable(path: str, source: Path) -> Member:
    info = tarfile.TarInfo(path.lstrip("/"))
    info.mode = 0o755
    return info, source.read_bytes()


def _link(path: str, target: str) -> Member:
    info = tarfile.TarInfo(path.lstrip("/"))
    info.type, info.linkname, info.mode = tarfile.SYMTYPE, target, 0o777
    return info, b""


def _folder(path: str) -> Member:
    info = tarfile.TarInfo(path.lstrip("/"))
    info.type, info.mode = tarfile.DIRTYPE, 0o1777
    return info, b""
