"""Who may report progress: the training's own pod and nobody else, with tokens that are real."""

from __future__ import annotations

import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.e2e.installation import Operator
from tests.e2e.trainings import LONG, Namespace, reason_of, training

pytestmark = pytest.mark.cluster

REPORT = {"stage": "Training", "iteration": 77, "iterations": 100_000}


@dataclass(frozen=True)
class Endpoint:
    """The operator's progress endpoint, reached from here."""

    address: str
    host: str
    authority: str

    def post(self, namespace: str, name: str, token: str, body: object = REPORT) -> int:
        """Post a report; gives the status code."""
        path = f"/v1/namespaces/{namespace}/trainings/{name}/progress"
        context = ssl.create_default_context(cadata=self.authority)
        context.check_hostname = False  # reached by a forwarded port; the chain is checked
        request = urllib.request.Request(
            f"https://{self.address}{path}",
            data=json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {token}"},
            method="POST",
        )
        opener = urllib.request.build_opener(
            urllib.request.HTTPSHandler(context=context), urllib.request.ProxyHandler({})
        )
        try:
            with opener.open(request, timeout=20) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code


def pod_of(garden: Namespace, name: str) -> str:
    labelled = f"splatting.dev/training={name}"
    (pod,) = garden.cluster.list("pods", garden.name, labelled)
    return str(pod["metadata"]["name"])


def bound_token(garden: Namespace, pod: str, audience: str = "splatting.dev/progress") -> str:
    """A token that the API server made for a pod."""
    return garden.cluster.kubectl(
        *("create", "token", "default", f"--namespace={garden.name}", f"--audience={audience}"),
        *("--bound-object-kind=Pod", f"--bound-object-name={pod}"),
    ).strip()


@pytest.fixture(scope="module")
def garden(shared_trainings: Namespace) -> Namespace:
    """Two trainings that run, in the module's namespace."""
    shared_trainings.make_capture()
    for name in ("one", "two"):
        shared_trainings.apply(training(name, training=LONG))
    for name in ("one", "two"):
        shared_trainings.wait_for_iteration(name, 1, 180)
    return shared_trainings


@pytest.fixture(scope="module")
def endpoint(garden: Namespace, operator: Operator) -> Iterator[Endpoint]:
    pod = garden.cluster.get("pod", pod_of(garden, "one"), garden.name)
    assert pod is not None
    authority = pod["metadata"]["annotations"]["splatting.dev/progress-ca"]
    with garden.cluster.forwarded("svc/splat-operator", 8443, operator.namespace) as address:
        yield Endpoint(address, "splat-operator", authority)


def test_a_trainings_own_pod_is_heard(garden: Namespace, endpoint: Endpoint) -> None:
    token = bound_token(garden, pod_of(garden, "one"))
    assert endpoint.post(garden.name, "one", token) in (204, 429)


def test_another_trainings_pod_is_refused(garden: Namespace, endpoint: Endpoint) -> None:
    token = bound_token(garden, pod_of(garden, "two"))
    assert endpoint.post(garden.name, "one", token) == 403


def test_a_pod_that_only_carries_the_label_is_refused(
    garden: Namespace, endpoint: Endpoint
) -> None:
    own = garden.cluster.get("pod", pod_of(garden, "one"), garden.name)
    assert own is not None
    trainer = own["spec"]["containers"][0]
    stray = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "stray", "labels": {"splatting.dev/training": "one"}},
        "spec": {
            "restartPolicy": "Never",
            "securityContext": own["spec"]["securityContext"],
            "containers": [
                {
                    "name": "trainer",
                    "image": trainer["image"],
                    "command": ["sleep", "300"],
                    "securityContext": trainer["securityContext"],
                }
            ],
        },
    }
    garden.apply(stray)
    scope = f"--namespace={garden.name}"
    garden.cluster.kubectl("wait", "--for=condition=Ready", "pod/stray", scope, "--timeout=60s")
    assert endpoint.post(garden.name, "one", bound_token(garden, "stray")) == 403
    garden.cluster.kubectl("delete", "pod", "stray", scope, "--grace-period=1")


def test_a_token_for_another_audience_is_refused(garden: Namespace, endpoint: Endpoint) -> None:
    token = bound_token(garden, pod_of(garden, "one"), "https://kubernetes.default.svc")
    assert endpoint.post(garden.name, "one", token) == 401


def test_a_service_accounts_token_without_a_pod_is_refused(
    garden: Namespace, endpoint: Endpoint
) -> None:
    token = garden.cluster.kubectl(
        *("create", "token", "default", f"--namespace={garden.name}"),
        "--audience=splatting.dev/progress",
    ).strip()
    assert endpoint.post(garden.name, "one", token) == 401


def test_a_forged_token_is_refused(garden: Namespace, endpoint: Endpoint) -> None:
    token = bound_token(garden, pod_of(garden, "one"))
    forged = token[: token.rindex(".")] + ".c2lnbmF0dXJl"
    assert endpoint.post(garden.name, "one", forged) == 401


def test_what_is_no_report_is_refused(garden: Namespace, endpoint: Endpoint) -> None:
    token = bound_token(garden, pod_of(garden, "two"))
    wrong = endpoint.post(garden.name, "two", token, {"stage": "Dancing"})
    assert wrong in (400, 429)
    assert endpoint.post(garden.name, "two", token, {"pad": "x" * 10_000}) in (413, 429)


def test_progress_moves_while_a_training_runs(garden: Namespace, endpoint: Endpoint) -> None:
    before = garden.status("one")["progress"]["iteration"]
    status = garden.wait_for_iteration("one", before + 1)
    assert status["phase"] == "Running"
    assert reason_of(status) == "Training"
    assert status["progress"]["percent"].endswith("%")
    assert float(status["progress"]["iterationsPerSecond"]) > 0
