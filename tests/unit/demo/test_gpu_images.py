"""The images that the GPU demo makes of a machine's own Python."""

import hashlib
import json
import sys
import tarfile
from pathlib import Path

import pytest

from deploy.demo.gpu.docker_archive import Image, write_archive
from deploy.demo.gpu.machine_images import write_own_layer
from deploy.demo.gpu.machine_layer import required_distributions


def _distribution(site: Path, name: str, *requirements: str, extras: tuple[str, ...] = ()) -> None:
    folder = site / f"{name.replace('-', '_')}-1.0.dist-info"
    folder.mkdir()
    lines = ["Metadata-Version: 2.1", f"Name: {name}", "Version: 1.0"]
    lines += [f"Provides-Extra: {extra}" for extra in extras]
    lines += [f"Requires-Dist: {requirement}" for requirement in requirements]
    (folder / "METADATA").write_text("\n".join(lines) + "\n")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of installed distributions that Python finds first."""
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    return tmp_path


def test_what_a_requirement_asks_for_as_an_extra_is_taken_too(site: Path) -> None:
    _distribution(site, "splat-test-torch", "splat-test-toolkit[nvrtc]==1.0")
    _distribution(
        site,
        "splat-test-toolkit",
        'splat-test-nvrtc; extra == "nvrtc"',
        'splat-test-docs; extra == "docs"',
        extras=("nvrtc", "docs"),
    )
    _distribution(site, "splat-test-nvrtc")
    _distribution(site, "splat-test-docs")
    found = required_distributions(("splat-test-torch",))
    assert set(found) == {"splat-test-torch", "splat-test-toolkit", "splat-test-nvrtc"}


def test_a_requirement_that_is_not_installed_or_not_for_this_python_is_left_out(
    site: Path,
) -> None:
    _distribution(site, "splat-test-a", "splat-test-missing", 'splat-test-b; python_version < "3"')
    _distribution(site, "splat-test-b")
    assert set(required_distributions(("splat-test-a",))) == {"splat-test-a"}


def test_distributions_that_require_each_other_end(site: Path) -> None:
    _distribution(site, "splat-test-a", "splat-test-b")
    _distribution(site, "splat-test-b", "splat-test-a")
    assert set(required_distributions(("splat-test-a",))) == {"splat-test-a", "splat-test-b"}


def test_an_archive_names_each_image_its_entry_point_and_layers_stored_once(
    tmp_path: Path,
) -> None:
    base, own = tmp_path / "base.tar", tmp_path / "own.tar"
    for layer, content in ((base, b"base"), (own, b"own")):
        (tmp_path / "file").write_bytes(content)
        with tarfile.open(layer, "w") as tar:
            tar.add(tmp_path / "file", arcname="file")
    images = [
        Image("splat.test/a:1", (base, own), ("a",), {"PATH": "/bin"}, "10001:10001"),
        Image("splat.test/b:1", (base,), ("b", "--flag"), {}, "0"),
    ]
    write_archive(tmp_path / "images.tar", images)

    with tarfile.open(tmp_path / "images.tar") as archive:
        names = archive.getnames()
        assert len(names) == len(set(names)) == 5
        manifest = json.loads(_content(archive, "manifest.json"))
        assert [entry["RepoTags"] for entry in manifest] == [["splat.test/a:1"], ["splat.test/b:1"]]
        for entry, image in zip(manifest, images, strict=True):
            config = json.loads(_content(archive, entry["Config"]))
            assert config["config"]["Entrypoint"] == list(image.entrypoint)
            assert config["config"]["User"] == image.user
            digests = [
                "sha256:" + hashlib.sha256(_content(archive, layer)).hexdigest()
                for layer in entry["Layers"]
            ]
            assert config["rootfs"]["diff_ids"] == digests


def test_the_image_has_every_build_of_the_kernel_cache_and_nothing_of_its_builders(
    tmp_path: Path,
) -> None:
    site, cache = tmp_path / "site", tmp_path / "kernels"
    (site / "splat_trainer").mkdir(parents=True)
    (site / "splat_trainer/__init__.py").touch()
    for file in ("gsplat-1/manifest.json", "gsplat-1/gsplat_cuda.so", "triton-1/triton.zip"):
        (cache / file).parent.mkdir(parents=True, exist_ok=True)
        (cache / file).touch()
    (cache / ".lease-gsplat-1.1").touch()
    write_own_layer(tmp_path / "own.tar", site, cache, tmp_path / "root")
    prefix = sys.prefix.lstrip("/")
    with tarfile.open(tmp_path / "own.tar") as layer:
        files = {member.name for member in layer if member.isfile()}
    assert files == {
        "opt/splat/site/splat_trainer/__init__.py",
        f"{prefix}/kernels/gsplat-1/manifest.json",
        f"{prefix}/kernels/gsplat-1/gsplat_cuda.so",
        f"{prefix}/kernels/triton-1/triton.zip",
    }


def _content(archive: tarfile.TarFile, name: str) -> bytes:
    file = archive.extractfile(name)
    assert file is not None
    return file.read()
