"""One Job fills a kernel cache for all who wait for it; the real kernels are in tests/kernels.

The trainer here is a shell script whose kernels are one word, so that what the operator does is
not hidden by a compiler's minutes.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cluster.busybox import write_busybox_image
from tests.cluster.client import Cluster
from tests.cluster.waiting import wait_for
from tests.e2e.trainings import (
    CAPTURES,
    SPLATS,
    Namespace,
    Raw,
    claim,
    condition,
    message_of,
    training,
)

pytestmark = pytest.mark.cluster

CACHE = "kernels"
IMAGE = "splat.test/kernels-stand-in:1"
COUNT = 20


@pytest.fixture(scope="module")
def fleet(
    cluster: Cluster, shared_trainings: Namespace, tmp_path_factory: pytest.TempPathFactory
) -> Namespace:
    """A namespace with a cold cache."""
    archive = tmp_path_factory.mktemp("stand-in") / "image.tar"
    script = Path(__file__).with_name("kernels_stand_in.sh")
    write_busybox_image(archive, IMAGE, script)
    cluster.load_image(archive)
    shared_trainings.apply(claim(CACHE), claim(CAPTURES), claim(SPLATS))
    return shared_trainings


def with_cache(name: str, **spec: object) -> Raw:
    cache = {"claimName": CACHE, "architectures": ["9.0"]}
    return training(name, **{"image": IMAGE, "kernelCache": cache, **spec})


def warm_ups(fleet: Namespace) -> list[Raw]:
    return fleet.cluster.list("jobs", fleet.name, "splatting.dev/kernels")


def compiling_pods(fleet: Namespace) -> list[Raw]:
    """The pods that compile now."""
    pods = fleet.cluster.list("pods", fleet.name, "splatting.dev/kernels")
    return [
        pod
        for pod in pods
        if pod["status"]["phase"] == "Running" and "deletionTimestamp" not in pod["metadata"]
    ]


def ready(fleet: Namespace, name: str) -> tuple[str, str]:
    found = condition(fleet.status(name), "KernelsReady")
    return found.get("status", ""), found.get("reason", "")


def phases(fleet: Namespace, names: list[str]) -> list[str]:
    found = fleet.cluster.list("splattrainings", fleet.name)
    told = {one["metadata"]["name"]: one.get("status", {}).get("phase", "") for one in found}
    return [told[name] for name in names]


def test_twenty_wait_for_one_job_that_is_killed_and_made_again_and_start_when_it_is_done(
    fleet: Namespace,
) -> None:
    names = [f"splat-{number:02}" for number in range(COUNT)]
    fleet.apply(*(with_cache(name) for name in names))
    wait_for(
        "all to wait for their kernels",
        lambda: phases(fleet, names),
        until=lambda seen: seen == ["PreparingKernels"] * COUNT,
    )
    (job,) = warm_ups(fleet)
    assert {ready(fleet, name) for name in names[:3]} == {("False", "Compiling")}
    assert fleet.jobs() == []
    (pod,) = wait_for("a pod that compiles", lambda: compiling_pods(fleet))
    fleet.cluster.kubectl(
        *("delete", "pod", pod["metadata"]["name"], f"--namespace={fleet.name}"),
        *("--grace-period=0", "--force"),
    )
    (again,) = wait_for("another pod that compiles", lambda: compiling_pods(fleet))
    assert again["metadata"]["name"] != pod["metadata"]["name"]
    assert fleet.jobs() == []

    fleet.run_shell("let-go", "touch /volume/go", CACHE)
    wait_for(
        "all to have trained",
        lambda: phases(fleet, names),
        120,
        until=lambda seen: seen == ["Succeeded"] * COUNT,
    )
    (done,) = warm_ups(fleet)
    assert done["metadata"]["uid"] == job["metadata"]["uid"]
    status = fleet.status(names[0])
    assert condition(status, "KernelsReady")["reason"] == "Compiled"
    assert status["kernels"] == {
        "source": "Cache",
        "key": "key",
        "seconds": "0.10",
        "secondsSaved": 90,
    }
    # Every one of them tried to write to what it loads from.
    assert {message_of(fleet.status(name)) for name in names} == {"wrote to the cache: no"}


def test_a_damaged_cache_is_filled_again_once(fleet: Namespace) -> None:
    (before,) = warm_ups(fleet)
    fleet.run_shell("damage", "echo bad >/volume/key/library", CACHE)
    fleet.apply(with_cache("hurt"))
    status = fleet.wait_for_phase("hurt", "Succeeded")
    assert status["kernels"]["source"] == "Compiled"
    assert status["kernels"]["refused"] == "not what was built"

    def healed() -> Raw | None:
        (job,) = warm_ups(fleet) or [before]
        other = job["metadata"]["uid"] != before["metadata"]["uid"]
        return job if other and job["status"].get("succeeded") else None

    after = wait_for("the cache to be filled again", healed)
    fleet.apply(with_cache("well"))
    assert fleet.wait_for_phase("well", "Succeeded")["kernels"]["source"] == "Cache"
    assert [job["metadata"]["uid"] for job in warm_ups(fleet)] == [after["metadata"]["uid"]]


def test_kernels_that_cannot_be_compiled_are_told_and_the_policy_decides(fleet: Namespace) -> None:
    # The real trainer, whose image for the CPU has no sources of kernels.
    cache = {"claimName": CACHE, "architectures": ["9.0"], "onMiss": "Fail"}
    fleet.apply(with_cache("sourceless", kernelCache=cache, image=fleet.trainer_image))
    status = fleet.wait_for_phase("sourceless", "Failed")
    told = condition(status, "KernelsReady")
    assert (told["status"], told["reason"]) == ("False", "KernelsNotCompiled")
    assert "gsplat" in told["message"]
    assert "attempts" not in status
