"""What an image is built from, and how its tag follows from that."""

import os
import shutil
from fnmatch import fnmatch
from pathlib import Path

import pytest

from tests.cluster import build_context
from tests.cluster.build_context import content_tag, copied_by, snapshot
from tests.cluster.layout import REPOSITORY

DOCKERFILES = [REPOSITORY / "Dockerfile.operator", REPOSITORY / "Dockerfile.trainer"]


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "repository"
    (root / "package" / "__pycache__").mkdir(parents=True)
    (root / "package" / "code.py").write_text("1")
    (root / "package" / "__pycache__" / "code.pyc").write_text("compiled")
    (root / "LICENSE").write_text("text")
    monkeypatch.setattr(build_context, "REPOSITORY", root)
    return root


def digest(scratch: Path, *patterns: str) -> str:
    shutil.rmtree(scratch / "context", ignore_errors=True)
    (scratch / "context").mkdir()
    return snapshot(patterns, scratch / "context")


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.suffix)
def test_dockerignore_lets_in_what_a_dockerfile_copies(dockerfile: Path) -> None:
    lines = (REPOSITORY / ".dockerignore").read_text().splitlines()
    let_in = [line[1:] for line in lines if line.startswith("!")]
    sources = copied_by(dockerfile)
    assert sources
    for source in sources:
        assert any(
            fnmatch(source, pattern)
            or source.startswith(f"{pattern}/")
            or pattern.startswith(f"{source}/")
            for pattern in let_in
        ), f"{dockerfile.name} copies {source}, which .dockerignore keeps out"


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.suffix)
def test_what_a_dockerfile_copies_is_there(dockerfile: Path) -> None:
    for source in copied_by(dockerfile):
        assert (REPOSITORY / source).exists(), source


def test_the_operator_is_built_from_no_part_of_the_trainer_but_its_contract() -> None:
    trainers = [s for s in copied_by(DOCKERFILES[0]) if s.startswith("trainer")]
    assert set(trainers) == {
        "trainer/splat_trainer/__init__.py",
        "trainer/splat_trainer/py.typed",
        "trainer/splat_trainer/contract",
    }


def test_a_snapshot_holds_the_files_and_no_compiled_ones(repository: Path, tmp_path: Path) -> None:
    digest(tmp_path, "package", "LICENSE")
    files = [path for path in (tmp_path / "context").rglob("*") if path.is_file()]
    names = {str(path.relative_to(tmp_path / "context")) for path in files}
    assert names == {"LICENSE", "package/code.py"}


def test_the_digest_follows_content_and_names_but_not_times(
    repository: Path, tmp_path: Path
) -> None:
    first = digest(tmp_path, "package", "LICENSE")
    os.utime(repository / "LICENSE", (1, 1))
    assert digest(tmp_path, "package", "LICENSE") == first
    (repository / "package" / "code.py").write_text("2")
    changed = digest(tmp_path, "package", "LICENSE")
    (repository / "package" / "code.py").rename(repository / "package" / "other.py")
    renamed = digest(tmp_path, "package", "LICENSE")
    assert len({first, changed, renamed}) == 3


def test_a_tag_follows_every_part_and_where_one_ends() -> None:
    tags = {
        content_tag("a", "b", {}),
        content_tag("ab", "", {}),
        content_tag("a", "b", {"K": "jit"}),
        content_tag("a", "b", {"K": "aot"}),
    }
    assert len(tags) == 4
    assert content_tag("a", {"x": "1", "y": "2"}) == content_tag("a", {"y": "2", "x": "1"})
