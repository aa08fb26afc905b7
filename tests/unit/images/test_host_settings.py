"""How this machine's pip settings come into a build."""

import configparser
import os
from pathlib import Path

import pytest

from tests.cluster.host_settings import pip_mounts


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with no pip settings."""
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "own.conf"))
    return tmp_path


def read(folder: Path) -> configparser.RawConfigParser:
    parser = configparser.RawConfigParser()
    parser.read(folder / "pip.conf")
    return parser


def test_a_file_and_variables_are_joined_and_the_variable_wins(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (machine / "own.conf").write_text("[global]\ntimeout = 5\nretries = 7\n")
    monkeypatch.setenv("PIP_TIMEOUT", "60")
    pip_mounts(machine)
    assert read(machine).get("global", "timeout") == "60"
    assert read(machine).get("global", "retries") == "7"


def test_local_files_are_mounted_and_named_as_the_build_sees_them(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = machine / "ca.pem"
    bundle.write_text("certificate")
    wheels = machine / "wheels"
    wheels.mkdir()
    monkeypatch.setenv("PIP_CERT", str(bundle))
    monkeypatch.setenv("PIP_FIND_LINKS", f"{wheels} https://wheels.test/simple")
    mounts = {str(mount.source): mount.target for mount in pip_mounts(machine)}
    settings = read(machine)
    assert settings.get("global", "cert") == mounts[str(bundle)]
    assert settings.get("global", "find-links").split() == [
        mounts[str(wheels)],
        "https://wheels.test/simple",
    ]
    assert str(machine) not in (machine / "pip.conf").read_text()


def test_the_configuration_itself_is_mounted_where_pip_looks(machine: Path) -> None:
    targets = {mount.target for mount in pip_mounts(machine)}
    assert "/etc/pip.conf" in targets
    assert all(str(mount).endswith(":ro") for mount in pip_mounts(machine))
