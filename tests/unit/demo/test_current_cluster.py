"""`make demo CLUSTER=current`: which clusters it takes, and what it leaves alone there."""

import json
from pathlib import Path
from typing import Any

import pytest

from deploy.demo import current_cluster
from deploy.demo.current_cluster import CurrentCluster
from deploy.demo.kube import Kube
from deploy.demo.manifests import DEMO_LABEL
from deploy.demo.stages import DemoError, Stages
from tests.unit.demo.programs import program

IMAGES = {"OPERATOR_IMAGE": "r/o:1", "TRAINER_IMAGE": "r/t:1", "S3_SERVER_IMAGE": "r/s:1"}


def cluster_with(folder: Path, **objects: dict[str, Any]) -> CurrentCluster:
    """A cluster of which kubectl knows these objects by their names; it notes what is asked."""
    for name, metadata in objects.items():
        (folder / f"{name}.json").write_text(json.dumps({"metadata": metadata}))
    script = f"""echo "$@" >> {folder}/asked
case "$*" in *all-namespaces*) cat {folder}/trainings 2>/dev/null || echo '{{"items": []}}';; esac
case "$1" in get) cat {folder}/$(echo "$3" | tr -d '.-').json 2>/dev/null || true;; esac"""
    kubectl = program(folder, "kubectl", script)
    helm = program(folder, "helm", f'echo helm "$@" >> {folder}/asked; echo splat-operator')
    return CurrentCluster("office", Kube((kubectl,), (helm,), {"PATH": "/usr/bin:/bin"}))


def crd_of(namespace: str) -> dict[str, Any]:
    return {
        "annotations": {
            "meta.helm.sh/release-namespace": namespace,
            "meta.helm.sh/release-name": "splat-operator",
        }
    }


def asked(folder: Path) -> list[str]:
    return (folder / "asked").read_text().splitlines()


def find(folder: Path, monkeypatch: pytest.MonkeyPatch, **environ: str) -> CurrentCluster:
    """Find a context that looks like production."""
    view = {
        "current-context": "office-prod",
        "clusters": [{"cluster": {"server": "https://10.0.0.1:6443"}}],
    }
    (folder / "view.json").write_text(json.dumps(view))
    program(folder, "kubectl", f"cat {folder}/view.json")
    program(folder, "helm", "true")
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return current_cluster.find(environ, folder)


def test_a_context_that_looks_like_production_must_be_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(DemoError, match="make demo CLUSTER=current CONTEXT=office-prod"):
        find(tmp_path, monkeypatch)
    found = find(tmp_path, monkeypatch, CONTEXT="office-prod")
    kubeconfig = Path(found.kube.environment["KUBECONFIG"])
    assert json.loads(kubeconfig.read_text())["current-context"] == "office-prod"
    assert kubeconfig.stat().st_mode & 0o077 == 0


def test_an_operator_that_is_there_already_is_not_taken_over(tmp_path: Path) -> None:
    cluster = cluster_with(tmp_path, splattrainingssplattingdev=crd_of("team"))
    with pytest.raises(DemoError, match="release splat-operator in namespace team"):
        current_cluster.see_that_nobody_is_disturbed(cluster)


def test_a_namespace_of_somebody_else_is_not_taken(tmp_path: Path) -> None:
    cluster = cluster_with(tmp_path, splatsystem={"labels": {}})
    with pytest.raises(DemoError, match="a namespace splat-system that is not this demo's"):
        current_cluster.see_that_nobody_is_disturbed(cluster)


def test_the_demo_may_run_again_where_it_ran(tmp_path: Path) -> None:
    ours = {"labels": DEMO_LABEL}
    cluster = cluster_with(
        tmp_path,
        splattrainingssplattingdev=crd_of("splat-system"),
        splatsystem=ours,
        splats=ours,
    )
    current_cluster.see_that_nobody_is_disturbed(cluster)


def test_images_that_no_node_could_reach_are_asked_for_by_their_variables(
    tmp_path: Path,
) -> None:
    cluster = cluster_with(tmp_path)
    some = {"OPERATOR_IMAGE": "r/o:1"}
    with pytest.raises(DemoError, match=r"TRAINER_IMAGE=[.]+ S3_SERVER_IMAGE="):
        current_cluster.reachable_images(cluster, some, Stages())
    images = current_cluster.reachable_images(cluster, IMAGES, Stages())
    assert (images.operator, images.trainer, images.s3_server) == ("r/o:1", "r/t:1", "r/s:1")


def test_what_the_demo_made_is_removed(tmp_path: Path) -> None:
    ours = {"labels": DEMO_LABEL}
    cluster = cluster_with(
        tmp_path,
        splattrainingssplattingdev=crd_of("splat-system"),
        splatsystem=ours,
        splats=ours,
    )
    current_cluster.remove(cluster)
    done = [line for line in asked(tmp_path) if line.startswith(("delete", "helm uninstall"))]
    assert done == [
        "helm uninstall splat-operator --namespace splat-system --wait",
        "delete crd splattrainings.splatting.dev",
        "delete namespace splats --timeout=180s",
        "delete namespace splat-system --timeout=180s",
    ]


def test_what_is_not_the_demos_stays(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cluster = cluster_with(
        tmp_path,
        splattrainingssplattingdev=crd_of("team"),
        splats={"labels": {}},
    )
    current_cluster.remove(cluster)
    assert not [line for line in asked(tmp_path) if "delete" in line or "uninstall" in line]
    assert "nothing of the demo" in capsys.readouterr().out


def test_the_definition_stays_while_others_have_trainings(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "trainings").write_text(
        json.dumps({"items": [{"metadata": {"namespace": "team"}}]})
    )
    cluster = cluster_with(
        tmp_path,
        splattrainingssplattingdev=crd_of("splat-system"),
        splatsystem={"labels": DEMO_LABEL},
    )
    current_cluster.remove(cluster)
    assert not [line for line in asked(tmp_path) if line.startswith("delete crd")]
    assert "SplatTrainings in team" in capsys.readouterr().out
