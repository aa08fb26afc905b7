"""Images built here run in a cluster as production runs them: restricted, read-only, any user."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.cluster.client import Cluster
from tests.cluster.looking import output_of
from tests.e2e.installation import Images
from tests.e2e.restricted import restricted_namespace, restricted_pod

pytestmark = pytest.mark.cluster

ANY_USER = 123_456
BOTH = pytest.mark.parametrize("which", ["operator", "trainer"])


@pytest.fixture(scope="module")
def restricted(cluster: Cluster) -> Iterator[str]:
    with restricted_namespace(cluster, "images") as name:
        yield name


def test_the_trainer_trains_there_and_writes_nothing_but_scratch(
    cluster: Cluster, images: Images, restricted: str
) -> None:
    script = """
        test "$(id -u)" = 10001
        ! touch /opt/splat/x 2>/dev/null
        splat-trainer doctor
        splat-trainer synth --output capture --size 32 --views 9
        ITERATIONS=3 splat-trainer train --data capture --output out --device cpu
        head -c 3 out/point_cloud.ply; echo
    """
    pod = restricted_pod("trainer", images.trainer.reference, ["sh", "-euc", script])
    cluster.apply(pod, namespace=restricted)
    output = output_of(cluster, "trainer", restricted)
    assert output.splitlines()[-1] == "ply"
    assert "FAULT" not in output


@BOTH
def test_an_image_runs_as_any_user(
    cluster: Cluster, images: Images, restricted: str, which: str
) -> None:
    name = f"any-user-{which}"
    pod = restricted_pod(name, getattr(images, which).reference, [f"splat-{which}", "--help"])
    pod["spec"]["securityContext"]["runAsUser"] = ANY_USER
    cluster.apply(pod, namespace=restricted)
    assert output_of(cluster, name, restricted).startswith(f"usage: splat-{which}")


@pytest.mark.parametrize(
    ("which", "has", "has_not"),
    [
        ("operator", ["kopf", "splat_trainer.contract"], ["torch", "gsplat", "numpy", "boto3"]),
        ("trainer", ["torch", "boto3"], ["kopf", "kubernetes", "splat_operator"]),
    ],
)
def test_an_image_holds_its_own_side_and_not_the_other(
    cluster: Cluster,
    images: Images,
    restricted: str,
    which: str,
    has: list[str],
    has_not: list[str],
) -> None:
    script = (
        "import importlib.util, json; "
        f"print(json.dumps([n for n in {has + has_not} if importlib.util.find_spec(n)]))"
    )
    name = f"modules-{which}"
    pod = restricted_pod(name, getattr(images, which).reference, ["python", "-c", script])
    cluster.apply(pod, namespace=restricted)
    assert json.loads(output_of(cluster, name, restricted)) == has


@BOTH
def test_nothing_of_the_machine_that_built_it_is_in_an_image(
    cluster: Cluster, images: Images, restricted: str, which: str
) -> None:
    script = "! test -s /etc/pip.conf; ls -A /run; env"
    name = f"leftovers-{which}"
    cluster.apply(
        restricted_pod(name, getattr(images, which).reference, ["sh", "-euc", script]),
        namespace=restricted,
    )
    lines = output_of(cluster, name, restricted).splitlines()
    assert "host" not in lines
    assert not [line for line in lines if line.upper().startswith(("PIP_", "HTTP_PROXY", "SSL_"))]
