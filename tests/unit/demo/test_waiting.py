"""What the demo says of pods that it waits for, from what kubectl gives."""

import json
from pathlib import Path
from typing import Any

import pytest

from deploy.demo.kube import Kube
from deploy.demo.stages import DemoError
from deploy.demo.waiting import pods_at, waiting_for_pods
from tests.unit.demo.programs import program

PULLING: dict[str, Any] = {
    "metadata": {"name": "s3-1"},
    "status": {
        "phase": "Pending",
        "containerStatuses": [
            {"state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such\n image"}}}
        ],
    },
}
HOMELESS: dict[str, Any] = {
    "metadata": {"name": "s3-2"},
    "status": {
        "phase": "Pending",
        "conditions": [
            {"type": "PodScheduled", "status": "False", "message": "0/1 nodes are available"}
        ],
    },
}
READY: dict[str, Any] = {
    "metadata": {"name": "s3-3"},
    "status": {
        "phase": "Running",
        "conditions": [{"type": "Ready", "status": "True"}],
        "containerStatuses": [{"state": {"running": {}}}],
    },
}
DONE: dict[str, Any] = {"metadata": {"name": "job-1"}, "status": {"phase": "Succeeded"}}


def kube_with(folder: Path, *pods: dict[str, Any]) -> Kube:
    (folder / "pods.json").write_text(json.dumps({"items": pods}))
    script = f"""case "$*" in
*logs*) echo "the last words of $4";;
*) cat {folder}/pods.json;;
esac"""
    kubectl = program(folder, "kubectl", script)
    return Kube((kubectl,), (kubectl,), {"PATH": "/usr/bin:/bin"})


def test_only_pods_that_are_not_ready_are_told_of_with_the_reason(tmp_path: Path) -> None:
    kube = kube_with(tmp_path, PULLING, HOMELESS, READY, DONE)
    assert pods_at(kube, "splats") == (
        "pod s3-1: ImagePullBackOff no such image; pod s3-2: 0/1 nodes are available"
    )


def test_a_wait_that_fails_ends_with_the_pods_reason_and_the_end_of_its_log(
    tmp_path: Path,
) -> None:
    kube = kube_with(tmp_path, PULLING, READY)
    with (
        pytest.raises(DemoError) as raised,
        waiting_for_pods(kube, "splats", "the server"),
    ):
        raise DemoError("timed out")
    told = str(raised.value)
    assert told.startswith("timed out\n")
    assert "pod s3-1: ImagePullBackOff no such image" in told
    assert "the last words of s3-1" in told
    assert "s3-3" not in told
