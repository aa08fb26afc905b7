"""`helm test`: what its hooks make, in which order, what they may do, and what they leave."""

import re
from typing import Any

import pytest

from splat_operator.api import SplatTrainingSpec
from tests.unit.chart.conftest import NAMESPACE, HelmError, Object, Render, Rendered

NAME = "splat-operator-test"


def hook(rendered: Rendered, kind: str, name: str = NAME) -> Object:
    (found,) = [o for o in rendered.hooks if (o["kind"], o["metadata"]["name"]) == (kind, name)]
    return found


def test_the_capture_is_made_before_the_training_and_that_before_it_is_followed(
    render: Render,
) -> None:
    assert [o["kind"] for o in render().hooks][-3:] == ["Pod", "SplatTraining", "Pod"]
    assert render().hooks[-3]["metadata"]["name"] == f"{NAME}-capture"
    for o in render().hooks:
        assert o["metadata"]["annotations"]["helm.sh/hook"] == "test"


@pytest.mark.parametrize("length", [46, 47, 48, 52])
def test_its_training_has_a_name_that_the_definition_takes(render: Render, length: int) -> None:
    rendered = render(fullnameOverride="a" * length)
    (training,) = [o for o in rendered.hooks if o["kind"] == "SplatTraining"]
    assert len(training["metadata"]["name"]) <= 52


def test_its_training_is_one_that_the_operator_understands(render: Render) -> None:
    training = hook(render(), "SplatTraining")
    spec = SplatTrainingSpec.model_validate(training["spec"])
    assert spec.resources.gpus == 0
    assert spec.training.iterations <= 100


def test_it_reads_and_writes_the_claim_of_the_captures_pod(render: Render) -> None:
    """Kubernetes names the claim of a generic ephemeral volume after the pod and the volume."""
    rendered = render()
    capture = hook(rendered, "Pod", f"{NAME}-capture")
    (volume,) = [v["name"] for v in capture["spec"]["volumes"] if "ephemeral" in v]
    spec = hook(rendered, "SplatTraining")["spec"]
    for place in ("source", "output"):
        claim = spec[place]["persistentVolumeClaim"]["claimName"]
        assert claim == f"{NAME}-capture-{volume}"
    (container,) = capture["spec"]["containers"]
    (mount,) = [m["mountPath"] for m in container["volumeMounts"] if m["name"] == volume]
    written = container["args"][container["args"].index("--output") + 1]
    assert written == f"{mount}/{spec['source']['persistentVolumeClaim']['path']}"


def test_its_account_may_read_and_delete_this_one_training_and_nothing_else(
    render: Render,
) -> None:
    rendered = render()
    assert hook(rendered, "Role")["rules"] == [
        {
            "apiGroups": ["splatting.dev"],
            "resources": ["splattrainings"],
            "resourceNames": [NAME],
            "verbs": ["get", "delete"],
        }
    ]
    binding = hook(rendered, "RoleBinding")
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": NAME, "namespace": NAMESPACE}]
    assert hook(rendered, "Pod")["spec"]["serviceAccountName"] == NAME
    assert not hook(rendered, "Pod", f"{NAME}-capture")["spec"]["automountServiceAccountToken"]


def test_its_pods_are_restricted(render: Render) -> None:
    for pod in (o for o in render().hooks if o["kind"] == "Pod"):
        assert pod["spec"]["securityContext"]["runAsNonRoot"] is True
        assert pod["spec"]["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        (container,) = pod["spec"]["containers"]
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert "memory" in container["resources"]["limits"]


def test_all_goes_after_success_and_a_failed_training_stays_to_be_looked_at(
    render: Render,
) -> None:
    for o in render().hooks:
        policy = o["metadata"]["annotations"]["helm.sh/hook-delete-policy"].split(",")
        assert "before-hook-creation" in policy
        assert "hook-failed" not in policy
        # Helm takes any object but a pod or a Job to have succeeded as soon as it is made.
        assert ("hook-succeeded" in policy) == (o["kind"] != "SplatTraining")
    assert "--delete" in hook(render(), "Pod")["spec"]["containers"][0]["command"]


def test_no_service_or_budget_selects_its_pods(render: Render) -> None:
    rendered = render()
    selectors = [
        rendered.one("Service")["spec"]["selector"],
        rendered.one("PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
        rendered.one("Deployment")["spec"]["selector"]["matchLabels"],
    ]
    for pod in (o for o in rendered.hooks if o["kind"] == "Pod"):
        for selector in selectors:
            assert not selector.items() <= pod["metadata"]["labels"].items()


@pytest.mark.parametrize(
    ("values", "namespace"),
    [
        ({}, NAMESPACE),
        ({"namespaces": ["red", NAMESPACE]}, NAMESPACE),
        ({"namespaces": ["red", "blue"]}, "red"),
        ({"namespaces": ["red", "blue"], "tests": {"namespace": "blue"}}, "blue"),
        ({"tests": {"namespace": "green"}}, "green"),
    ],
)
def test_it_trains_in_a_namespace_that_is_served(
    render: Render, values: dict[str, Any], namespace: str
) -> None:
    rendered = render(**values)
    assert {o["metadata"]["namespace"] for o in rendered.hooks} == {namespace}
    assert hook(rendered, "Pod")["spec"]["containers"][0]["command"][-3:] == [
        *(namespace, NAME, "--delete")
    ]


def test_a_namespace_that_is_not_served_is_refused(render: Render) -> None:
    with pytest.raises(HelmError, match=re.escape("tests.namespace green is none of")):
        render(namespaces=["red"], tests={"namespace": "green"})


def test_it_can_be_made_to_try_a_gpu(render: Render) -> None:
    rendered = render(tests={"spec": {"resources": {"gpus": 1}, "runtimeClassName": "nvidia"}})
    spec = SplatTrainingSpec.model_validate(hook(rendered, "SplatTraining")["spec"])
    assert (spec.resources.gpus, spec.runtime_class_name) == (1, "nvidia")


def test_the_registrys_secrets_reach_every_pod_of_it(render: Render) -> None:
    for values in (
        {"imagePullSecrets": [{"name": "registry"}]},
        {"tests": {"imagePullSecrets": [{"name": "registry"}]}},
    ):
        for o in render(**values).hooks:
            if o["kind"] in ("Pod", "SplatTraining"):
                assert o["spec"]["imagePullSecrets"] == [{"name": "registry"}]
