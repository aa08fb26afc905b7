"""What each image's lock pins, and what it must leave out."""

import re

import pytest

from tests.cluster.layout import REPOSITORY


def pinned(lock: str) -> dict[str, list[str]]:
    """Package names of a lock file, each with its hashes."""
    found: dict[str, list[str]] = {}
    name = ""
    for line in (REPOSITORY / "locks" / lock).read_text().splitlines():
        if match := re.match(r"([a-z0-9][a-z0-9-]*)==\S+", line):
            name = match[1]
            found.setdefault(name, [])
        found[name] += re.findall(r"--hash=(sha256:[0-9a-f]{64})", line)
    return found


@pytest.mark.parametrize("lock", ["operator.txt", "trainer.txt", "gsplat.txt", "build.txt"])
def test_everything_is_pinned_with_hashes(lock: str) -> None:
    packages = pinned(lock)
    assert packages
    assert all(packages.values())


def test_the_operator_gets_nothing_of_the_trainer() -> None:
    operator = pinned("operator.txt").keys()
    assert operator >= {"kopf", "aiohttp", "pydantic"}
    assert operator.isdisjoint({"torch", "gsplat", "numpy", "boto3"})


def test_the_operator_gets_no_second_client_of_the_api_server() -> None:
    """The official one costs 41 MB of the image and seconds of its start; kopf needs none."""
    assert "kubernetes" not in pinned("operator.txt")
    assert "kubernetes" in pinned("dev.txt")


def test_the_trainer_gets_nothing_of_the_operator_nor_what_its_base_brings() -> None:
    trainer = pinned("trainer.txt").keys()
    assert trainer >= {"boto3", "pillow", "pydantic"}
    assert trainer.isdisjoint({"kopf", "kubernetes", "torch", "triton", "numpy", "gsplat"})
    assert not [name for name in trainer if name.startswith("nvidia-")]


def test_gsplat_is_locked_at_the_version_that_the_image_is_labelled_with() -> None:
    dockerfile = (REPOSITORY / "Dockerfile.trainer").read_text()
    label = re.search(r"^ARG GSPLAT_VERSION=(\S+)", dockerfile, re.MULTILINE)
    assert label is not None
    assert f"gsplat=={label[1]} " in (REPOSITORY / "locks" / "gsplat.txt").read_text()


def test_both_images_run_as_the_same_numeric_user_and_have_no_shell_for_entry_point() -> None:
    for name in ("operator", "trainer"):
        dockerfile = (REPOSITORY / f"Dockerfile.{name}").read_text()
        users = re.findall(r"^USER (\S+)", dockerfile, re.MULTILINE)
        assert users == ["10001:10001"]
        assert f'\nENTRYPOINT ["splat-{name}"]\n' in dockerfile
