"""How the demo talks to kubectl and helm."""

from pathlib import Path

import pytest

from deploy.demo.kube import Kube
from deploy.demo.stages import DemoError, Stages
from deploy.demo.story import Images, _image_values, _install_operator
from tests.unit.demo.programs import program


def _kube(folder: Path, script: str) -> Kube:
    kubectl = program(folder, "kubectl", script)
    return Kube((kubectl,), (program(folder, "helm", script),), {"PATH": "/usr/bin:/bin"})


def test_a_failure_is_told_in_the_tools_own_words(tmp_path: Path) -> None:
    kube = _kube(tmp_path, 'echo "namespaces is forbidden" >&2; exit 1')
    with pytest.raises(DemoError, match="kubectl get namespaces: namespaces is forbidden"):
        kube.run("get", "namespaces")


def test_tags_made_of_digits_reach_helm_as_strings(tmp_path: Path) -> None:
    said = tmp_path / "said"
    kube = _kube(tmp_path, f'printf "%s\\n" "$@" >> {said}')
    images = Images("splat.test/operator:1", "registry.test:5000/trainer:20", "s3:1")
    _install_operator(kube, images, {"kernelCache.inImage": True}, Stages())
    arguments = said.read_text().splitlines()
    assert "--set" not in arguments
    values = [arguments[i + 1] for i, word in enumerate(arguments) if word == "--set-string"]
    assert values == [
        "image.repository=splat.test/operator,image.tag=1",
        "trainer.image.repository=registry.test:5000/trainer,trainer.image.tag=20",
    ]
    assert "--set-json=kernelCache.inImage=true" in arguments


def test_a_port_forward_that_does_not_start_says_why(tmp_path: Path) -> None:
    kube = _kube(tmp_path, 'echo "error: services \\"s3\\" not found"; exit 1')
    with (
        pytest.raises(DemoError, match='services "s3" not found'),
        kube.port_forward("splats", "service/s3", 7070),
    ):
        pass


def test_a_failed_stage_has_no_time_and_the_table_sums_the_others() -> None:
    stages = Stages()
    with stages.stage("first"):
        pass
    with pytest.raises(ValueError, match="broken"), stages.stage("second"):
        raise ValueError("broken")
    assert [title for title, _ in stages.seconds] == ["first"]
    assert stages.table().splitlines()[-1].split()[:2] == ["in", "all"]


def test_an_image_may_be_named_by_its_digest() -> None:
    digest = "sha256:" + "a" * 64
    assert _image_values("trainer.image", f"registry.test:5000/t@{digest}") == (
        f"trainer.image.repository=registry.test:5000/t,trainer.image.digest={digest}"
    )
