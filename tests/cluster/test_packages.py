"""What a fresh Debian machine lacks is installed by whoever needs it."""

from pathlib import Path

import pytest

from tests.cluster import buildah, packages
from tests.cluster.errors import ClusterError


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """The packages that apt is asked for, on a machine that has none of the programs."""
    asked: list[str] = []
    monkeypatch.setattr(
        "tests.cluster.packages.shutil.which", lambda name, path=None: name == "apt-get" or None
    )
    monkeypatch.setattr("tests.cluster.packages.os.geteuid", lambda: 0)
    monkeypatch.setattr(packages, "_apt", lambda *arguments: asked.extend(arguments))
    monkeypatch.setattr(buildah, "images_root", lambda: tmp_path)
    return asked


def test_building_images_installs_what_builds_them(installed: list[str]) -> None:
    buildah.Buildah.open()
    assert {"buildah", "mmdebstrap"} <= set(installed)


def test_who_is_not_root_is_told_what_to_install(
    installed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.cluster.packages.os.geteuid", lambda: 1000)
    with pytest.raises(ClusterError, match=r"as root: buildah mmdebstrap runc"):
        buildah.Buildah.open()
    assert installed == []
