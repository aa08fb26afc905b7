"""The chart on a real cluster: installed, upgraded, removed. One operator at a time acts there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.cluster.client import Cluster
from tests.cluster.layout import REPOSITORY
from tests.cluster.looking import conditions
from tests.cluster.waiting import wait_for
from tests.e2e.installation import PREVIOUS_CHART, RELEASE, Images, Operator
from tests.e2e.trainings import LONG, own_namespace, training

pytestmark = pytest.mark.cluster

CRD = "splattrainings.splatting.dev"
PLAIN = REPOSITORY / "deploy" / "splat-operator.yaml"


@pytest.fixture
def release(cluster: Cluster, images: Images, operator_namespace: str) -> Iterator[Operator]:
    """The chart, which the test installs."""
    release = Operator(cluster, operator_namespace, images)
    yield release
    if cluster.helm("list", "--short", f"--namespace={operator_namespace}").strip():
        release.uninstall()


def suspended(name: str) -> dict[str, Any]:
    """A SplatTraining that is accepted and does nothing."""
    return {
        "apiVersion": "splatting.dev/v1alpha1",
        "kind": "SplatTraining",
        "metadata": {"name": name},
        "spec": {
            "source": {"persistentVolumeClaim": {"claimName": "captures"}},
            "output": {"persistentVolumeClaim": {"claimName": "splats"}},
            "suspend": True,
        },
    }


def takes_up(operator: Operator, name: str, namespace: str) -> None:
    """See that the operator accepts a new SplatTraining."""
    operator.cluster.apply(suspended(name), namespace=namespace)
    try:
        wait_for(
            f"{name} to be accepted",
            lambda: conditions(operator.cluster.get("splattraining", name, namespace)),
            until=lambda seen: seen.get("Accepted", {}).get("status") == "True",
        )
    except AssertionError as error:
        raise AssertionError(f"{error}\nthe operator's log:\n{operator.log()}") from error


def test_what_is_removed_with_it_and_what_stays(
    release: Operator, cluster: Cluster, namespace: str
) -> None:
    release.helm("install")
    takes_up(release, "before", namespace)

    said = release.uninstall()
    assert CRD in said, "helm says what it keeps"
    for kind in ("deployments", "services", "serviceaccounts", "roles", "rolebindings"):
        names = {o["metadata"]["name"] for o in cluster.list(kind, release.namespace)}
        assert RELEASE not in names, kind
    cluster_wide = cluster.kubectl("get", "clusterroles,clusterrolebindings", "--output=name")
    assert f"{release.namespace}-{RELEASE}" not in cluster_wide
    kept = [o["metadata"]["name"] for o in cluster.list("splattrainings", namespace)]
    assert kept == ["before"]

    release.helm("install")
    takes_up(release, "after", namespace)


def test_an_upgrade_from_the_previous_chart_leaves_a_running_training_running(
    release: Operator, cluster: Cluster
) -> None:
    """The chart before, its definition, roles and settings; the operator's image is today's."""
    release.helm("install", chart=PREVIOUS_CHART)
    with own_namespace(release) as garden:
        garden.make_capture()
        garden.apply(training("long", training=LONG))
        garden.wait_for_iteration("long", 1, 180)
        (pod,) = garden.pods()

        release.helm("upgrade", log={"level": "debug"}, namespaces=[garden.name])
        takes_up(release, "after", garden.name)
        # Progress goes on, so the pod still reaches the endpoint and the endpoint believes it.
        reached = garden.status("long")["progress"]["iteration"]
        after = garden.wait_for_iteration("long", reached + 1)
        (still,) = garden.pods()
        assert still["metadata"]["uid"] == pod["metadata"]["uid"]
        assert (after["phase"], after["attempts"]) == ("Running", 1)


@pytest.mark.usefixtures("operator_namespace")  # where no other operator acts
def test_without_helm_the_plain_manifests_install_it(
    cluster: Cluster, images: Images, namespace: str
) -> None:
    manifests = PLAIN.read_text()
    for name, image in (("operator", images.operator), ("trainer", images.trainer)):
        manifests = manifests.replace(f"splat-{name}:0.1.0", image.reference)
    objects = list(yaml.safe_load_all(manifests))
    installed = Operator(cluster, objects[0]["metadata"]["name"], images)
    cluster.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=manifests)
    try:
        scope = f"--namespace={installed.namespace}"
        cluster.kubectl("rollout", "status", f"deployment/{RELEASE}", scope, "--timeout=90s")
        takes_up(installed, "plain", namespace)
    finally:
        going = [o for o in objects if o["kind"] != "CustomResourceDefinition"]
        cluster.kubectl("delete", "--filename=-", stdin=yaml.safe_dump_all(going))
