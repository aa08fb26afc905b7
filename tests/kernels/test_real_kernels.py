"""gsplat's real kernels, compiled by the warm-up Job on a node with no GPU: `make test-kernels`.

A quarter of an hour on two cores, most of it nvcc's; the figures are told at the end, for
docs/benchmarks.md. The tests are one story, told in their order.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from tests.cluster.waiting import wait_for
from tests.e2e.trainings import Namespace, Raw, claim, condition
from tests.kernels.loading import CACHE, loaded, loading

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(3600)]

COUNT = 20
_NVCC = 1800
_WARM_UPS = "splatting.dev/kernels"
_DAMAGE = """
import pathlib
path, = pathlib.Path("/volume").glob("*/gsplat_cuda.so")
with path.open("r+b") as opened:
    opened.seek(path.stat().st_size // 2)
    byte = opened.read(1)[0]
    opened.seek(-1, 1)
    opened.write(bytes([byte ^ 1]))
"""


@pytest.fixture(scope="module")
def figures() -> Iterator[dict[str, Any]]:
    """What was measured, printed when all is done."""
    found: dict[str, Any] = {}
    yield found
    print(f"\n# kernel cache: {json.dumps(found)}")


def warm_ups(namespace: Namespace) -> list[Raw]:
    return namespace.cluster.list("jobs", namespace.name, _WARM_UPS)


def pods_of_warm_ups(namespace: Namespace) -> list[Raw]:
    return namespace.cluster.list("pods", namespace.name, _WARM_UPS)


def log_of(namespace: Namespace, pod: Raw) -> str:
    name = pod["metadata"]["name"]
    done = namespace.cluster.try_kubectl("logs", name, f"--namespace={namespace.name}")
    return done.stdout


def seconds_between(earlier: str, later: str) -> float:
    return (_time(later) - _time(earlier)).total_seconds()


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def kernels_ready(namespace: Namespace, name: str) -> Raw:
    return condition(namespace.status(name), "KernelsReady")


def compiling_pod(namespace: Namespace) -> Raw:
    """Wait until nvcc is at work, and give the pod."""

    def look() -> Raw | None:
        running = [
            pod
            for pod in pods_of_warm_ups(namespace)
            if pod["status"].get("phase") == "Running"
            and "deletionTimestamp" not in pod["metadata"]
        ]
        return next((pod for pod in running if "compiling: " in log_of(namespace, pod)), None)

    return wait_for("a pod that compiles", look, 300)


def finished_warm_up(namespace: Namespace) -> Raw:
    """Wait until the one warm-up Job is complete; gives what its pod told."""

    def look() -> Raw | None:
        (job,) = warm_ups(namespace)
        return job if job.get("status", {}).get("completionTime") else None

    return wait_for("the warm-up Job to be done", look, _NVCC)


def told_by(namespace: Namespace) -> dict[str, Any]:
    """The document of the warm-up's pod that succeeded."""
    (pod,) = [p for p in pods_of_warm_ups(namespace) if p["status"]["phase"] == "Succeeded"]
    (status,) = pod["status"]["containerStatuses"]
    document: dict[str, Any] = json.loads(status["state"]["terminated"]["message"])
    return document


def test_twenty_trainings_wait_for_one_warm_up_that_survives_being_killed_and_start_together(
    fleet: Namespace, figures: dict[str, Any]
) -> None:
    fleet.apply(claim(CACHE))
    names = [f"splat-{number:02}" for number in range(COUNT)]
    fleet.apply(*(loading(fleet, name) for name in names))

    killed = compiling_pod(fleet)
    (job,) = warm_ups(fleet)
    for name in names:
        ready = kernels_ready(fleet, name)
        assert (ready.get("status"), ready.get("reason")) == ("False", "Compiling"), (name, ready)
    assert fleet.jobs() == []
    kill = ("delete", "pod", killed["metadata"]["name"], "--grace-period=0", "--force")
    fleet.cluster.kubectl(*kill, f"--namespace={fleet.name}")

    done = finished_warm_up(fleet)
    assert done["metadata"]["uid"] == job["metadata"]["uid"]
    document = told_by(fleet)
    assert document["outcome"] == "Built"
    assert killed["metadata"]["name"] not in {
        pod["metadata"]["name"] for pod in pods_of_warm_ups(fleet)
    }
    figures["buildSeconds"] = document["buildSeconds"]
    figures["bytes"] = document["bytes"]
    figures["warmUpSeconds"] = seconds_between(
        done["metadata"]["creationTimestamp"], done["status"]["completionTime"]
    )

    for name in names:
        fleet.wait_for_phase(name, "Succeeded", 900)
    assert len(warm_ups(fleet)) == 1
    pods = fleet.pods()
    told = [loaded(pod) for pod in pods]
    assert len(told) == COUNT
    for one in told:
        assert one["source"] == "Cache"
        assert one["key"] == document["key"]
        assert one["file"] == f"/kernels/{document['key']}/gsplat_cuda.so"
        assert one["functions"]
        assert one["ours"]
        assert one["written"] == "Read-only file system"
    made = [job["metadata"]["creationTimestamp"] for job in fleet.jobs()]
    after = [seconds_between(done["status"]["completionTime"], one) for one in made]
    assert min(after) >= 0
    figures["jobsMadeAfterSeconds"] = [min(after), max(after)]
    figures["loadSeconds"] = sorted(one["seconds"] for one in told)
    assert kernels_ready(fleet, names[0])["reason"] == "Compiled"


def test_another_namespace_compiles_into_its_own_volume_only(
    fleet: Namespace, neighbour: Namespace
) -> None:
    neighbour.apply(loading(neighbour, "alone"))
    waits = wait_for(
        "it to say what it waits for",
        lambda: kernels_ready(neighbour, "alone"),
        until=lambda seen: CACHE in seen.get("message", "") and seen["reason"] != "Compiling",
    )
    assert waits["status"] == "False"
    neighbour.apply(claim(CACHE))
    compiling_pod(neighbour)  # for all that the other namespace has
    volumes = {
        one.name: one.cluster.get("pvc", CACHE, one.name) or {} for one in (fleet, neighbour)
    }
    assert len({claim["spec"]["volumeName"] for claim in volumes.values()}) == 2
    scope = f"--namespace={neighbour.name}"
    neighbour.cluster.kubectl("delete", "splattraining", "alone", scope)
    neighbour.cluster.kubectl("delete", "jobs", f"--selector={_WARM_UPS}", scope)
    assert "sound" in fleet.run_shell("own", "splat-trainer kernels verify --cache /volume", CACHE)


def test_a_damaged_file_is_refused_and_made_again(
    fleet: Namespace, figures: dict[str, Any]
) -> None:
    fleet.run_shell("damage", f"python - <<'END'\n{_DAMAGE}END\n", CACHE)
    refused = fleet.run_shell(
        "verify", "splat-trainer kernels verify --cache /volume || true", CACHE
    )
    assert "gsplat_cuda.so is damaged" in refused
    # A warm-up is good for a week; whoever finds damage before deletes it.
    fleet.cluster.kubectl("delete", "jobs", f"--selector={_WARM_UPS}", f"--namespace={fleet.name}")
    fleet.apply(loading(fleet, "after-damage"))
    wait_for("a warm-up", lambda: warm_ups(fleet))
    finished_warm_up(fleet)
    document = told_by(fleet)
    assert document["outcome"] == "Built"
    assert "gsplat_cuda.so is damaged" in document["message"]
    fleet.wait_for_phase("after-damage", "Succeeded", 300)
    (pod,) = [
        pod
        for pod in fleet.pods()
        if pod["metadata"]["labels"]["splatting.dev/training"] == "after-damage"
    ]
    assert loaded(pod)["key"] == document["key"]
    figures["healedAfterSeconds"] = document["buildSeconds"]
