"""What an image is built from: a snapshot of the files that its Dockerfile copies, and its digest.

A snapshot, so that a file saved during a build cannot be in the image but not in its name.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from tests.cluster.layout import REPOSITORY

# A checkout's times say nothing; with fixed ones the same content has the same layers.
_TIMESTAMP = 946_684_800  # 2000-01-01


def copied_by(dockerfile: Path) -> list[str]:
    """Give what a Dockerfile copies from its context: the sources of COPY without --from."""
    sources: list[str] = []
    for line in dockerfile.read_text().splitlines():
        instruction, *words = line.split() or [""]
        if instruction == "COPY" and not any(word.startswith("--from=") for word in words):
            sources += [word for word in words[:-1] if not word.startswith("--")]
    return sources


def snapshot(patterns: Iterable[str], folder: Path) -> str:
    """Copy the repository's files that match into `folder`; give the digest of all of them."""
    digest = hashlib.sha256()
    for source in sorted(set(_files(patterns))):
        name = source.relative_to(REPOSITORY)
        content = source.read_bytes()
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        target.chmod(0o644)
        for part in (str(name).encode(), content):
            digest.update(len(part).to_bytes(8, "big") + part)
    for path in (folder, *folder.rglob("*")):
        os.utime(path, (_TIMESTAMP, _TIMESTAMP))
    return digest.hexdigest()


def place(file: Path, folder: Path) -> None:
    """Put one file beside a snapshot, by a link where both are on one file system."""
    target = folder / file.name
    try:
        target.hardlink_to(file)
    except OSError:
        shutil.copy2(file, target)


def file_digest(path: Path) -> str:
    """Give the SHA-256 of one file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def content_tag(*parts: str | Mapping[str, str]) -> str:
    """Give the tag of an image that is made of these parts and nothing else."""
    digest = hashlib.sha256()
    for part in parts:
        text = part if isinstance(part, str) else repr(sorted(part.items()))
        digest.update(len(text).to_bytes(8, "big") + text.encode())
    return digest.hexdigest()[:16]


def _files(patterns: Iterable[str]) -> Iterator[Path]:
    for pattern in patterns:
        for match in REPOSITORY.glob(pattern):
            candidates = match.rglob("*") if match.is_dir() else (match,)
            for path in candidates:
                if path.is_file() and "__pycache__" not in path.parts:
                    yield path
