"""What is compiled: gsplat's sources, and our own, into one library under one key."""

import re
import shutil
from pathlib import Path

import pytest

from splat_trainer.kernels import extension
from splat_trainer.kernels.extension import Extension


@pytest.fixture
def gsplat(tmp_path: Path) -> Extension:
    """A package with one kernel."""
    sources = tmp_path / "gsplat" / "cuda" / "csrc"
    sources.mkdir(parents=True)
    (sources / "Kernel.cu").write_text("// gsplat's\n")
    (sources.parent / "ext.cpp").write_text("// gsplat's\n")
    return Extension(tmp_path / "gsplat", "1.5.3")


def test_our_own_sources_are_compiled_with_gsplats(gsplat: Extension) -> None:
    names = [path.name for path in gsplat.sources]
    ours = ["blend.cu", "blend_ops.cpp", "project.cu", "project_ops.cpp", "sort_ops.cpp"]
    assert names == ["Kernel.cu", "ext.cpp", *ours]
    assert all(path.is_file() for path in gsplat.sources)


def test_the_operators_that_others_ask_for_are_those_of_our_sources(gsplat: Extension) -> None:
    sources = "".join(path.read_text() for path in gsplat.sources if path.stem.endswith("_ops"))
    defined = re.findall(r'library\.def\(\s*"(\w+)\(', sources)
    given = re.findall(r'library\.impl\("(\w+)"', sources)
    assert sorted(defined) == sorted(given) == sorted(extension.OPERATORS)


def test_where_gsplat_needs_no_nvcc_nothing_does(gsplat: Extension) -> None:
    (gsplat.package / "cuda" / "csrc" / "Kernel.cu").unlink()
    assert [path.name for path in gsplat.sources] == ["ext.cpp"]


def test_objects_of_all_sources_have_names_of_their_own(gsplat: Extension) -> None:
    installed = extension.installed_gsplat()
    stems = [(path.stem, path.suffix) for path in installed.sources]
    assert len(set(stems)) == len(stems)
    assert len(installed.sources) > len(gsplat.sources)


@pytest.mark.parametrize(
    "name", ["blend.cu", "project_ops.cpp", "checks.h", "spherical_harmonics.cuh"]
)
def test_a_change_of_our_own_sources_makes_another_key(
    name: str, gsplat: Extension, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = tmp_path / "cuda"
    shutil.copytree(extension._OUR_OWN, ours)
    monkeypatch.setattr(extension, "_OUR_OWN", ours)
    before = gsplat.sources_sha256
    with (ours / name).open("a") as source:
        source.write("// changed\n")
    assert Extension(gsplat.package, gsplat.version).sources_sha256 != before
