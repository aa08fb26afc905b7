"""What the Dockerfiles make, and what they refuse to make. Needs root, no cluster."""

from __future__ import annotations

import dataclasses
import json
import os
import tarfile
from typing import Any

import pytest

from tests.cluster import images
from tests.cluster.errors import ClusterError
from tests.cluster.images import TRAINER_PROFILES, BuiltImage

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="building images needs root")


def configuration(image: BuiltImage) -> dict[str, Any]:
    with tarfile.open(image.archive) as archive:

        def read(name: str) -> Any:
            file = archive.extractfile(name)
            assert file is not None
            return json.load(file)

        (manifest,) = read("manifest.json")
        assert manifest["RepoTags"] == [image.reference]
        found: dict[str, Any] = read(manifest["Config"])["config"]
        return found


def test_an_unchanged_image_is_taken_as_it_was_built() -> None:
    first = images.build_operator_image()
    built = first.archive.stat().st_ino
    again = images.build_operator_image()
    assert again == first
    assert again.archive.stat().st_ino == built


def test_the_operator_image_declares_how_it_is_run() -> None:
    found = configuration(images.build_operator_image())
    assert found["User"] == "10001:10001"
    assert found["Entrypoint"] == ["splat-operator"]
    assert found["Volumes"] == {"/tmp": {}}  # noqa: S108 - declared in the image
    assert found["Labels"]["org.opencontainers.image.title"] == "splat-operator"


def test_the_trainer_image_declares_how_it_is_run_and_what_it_holds() -> None:
    found = configuration(images.build_trainer_image("cpu"))
    assert found["User"] == "10001:10001"
    assert found["Entrypoint"] == ["splat-trainer"]
    assert found["Volumes"] == {"/tmp": {}}  # noqa: S108 - declared in the image
    labels = found["Labels"]
    assert labels["dev.splatting.torch.version"] == "2.6"
    assert labels["dev.splatting.gsplat.kernels"] == "none"
    assert labels["dev.splatting.cuda.version"] == "none"


@pytest.mark.parametrize(
    ("argument", "value", "words"),
    [
        ("TORCH_VERSION", "2.5", "but its label would say 2.5: give --build-arg TORCH_VERSION"),
        ("GSPLAT_KERNELS", "some", "GSPLAT_KERNELS is 'some': give aot, jit or none"),
    ],
)
def test_an_image_that_is_not_what_its_labels_say_is_not_built(
    monkeypatch: pytest.MonkeyPatch, argument: str, value: str, words: str
) -> None:
    profile = TRAINER_PROFILES["cpu"]
    wrong = dataclasses.replace(profile, arguments={**profile.arguments, argument: value})
    monkeypatch.setattr(images, "TRAINER_PROFILES", {"wrong": wrong})
    with pytest.raises(ClusterError, match=words):
        images.build_trainer_image("wrong")


def test_an_unknown_profile_is_told_with_those_there_are() -> None:
    with pytest.raises(ClusterError, match="no trainer profile 'gpu': there is cpu"):
        images.build_trainer_image("gpu")
