"""The chart grants what splat_operator.runtime.permissions says the operator needs, no more."""

from typing import Any

from splat_operator.runtime.permissions import (
    CLAIM_RULES,
    CLUSTER_RULES,
    NODE_RULES,
    TRAINING_RULES,
    lease_rules,
    progress_rules,
)
from tests.unit.chart.conftest import NAMESPACE, Render, Rendered

Rules = list[dict[str, Any]]


def normal(rules: Any) -> list[str]:
    return sorted(
        str({key: sorted(values) for key, values in sorted(rule.items())}) for rule in rules
    )


def granted_to_the_operator(rendered: Rendered) -> dict[tuple[str, str], Rules]:
    """The rules by (kind of binding, namespace), followed from the bindings to the roles."""
    account = rendered.pod["serviceAccountName"]
    found: dict[tuple[str, str], Rules] = {}
    for kind in ("ClusterRoleBinding", "RoleBinding"):
        for binding in rendered.all(kind):
            assert binding["subjects"] == [
                {"kind": "ServiceAccount", "name": account, "namespace": NAMESPACE}
            ]
            namespace = binding["metadata"].get("namespace", "")
            role = next(
                o
                for o in rendered.all(binding["roleRef"]["kind"])
                if o["metadata"]["name"] == binding["roleRef"]["name"]
                and o["metadata"].get("namespace", "") == namespace
            )
            found.setdefault((kind, namespace), []).extend(role["rules"])
    return found


PROGRESS, LEASE = progress_rules("splat-operator-progress"), lease_rules("splat-operator")
OWN = (*PROGRESS, *LEASE)


def test_cluster_wide_it_grants_exactly_what_the_code_asks_for(render: Render) -> None:
    granted = granted_to_the_operator(render())
    assert set(granted) == {("ClusterRoleBinding", ""), ("RoleBinding", NAMESPACE)}
    assert normal(granted["ClusterRoleBinding", ""]) == normal((*TRAINING_RULES, *CLUSTER_RULES))
    assert normal(granted["RoleBinding", NAMESPACE]) == normal(OWN)


def test_a_kernel_cache_adds_what_it_needs_and_nothing_else(render: Render) -> None:
    granted = granted_to_the_operator(render(kernelCache={"create": True}))
    assert normal(granted["ClusterRoleBinding", ""]) == normal(
        (*TRAINING_RULES, *CLUSTER_RULES, *CLAIM_RULES, *NODE_RULES)
    )
    granted = granted_to_the_operator(
        render(namespaces=["red"], kernelCache={"create": True, "architectures": ["9.0"]})
    )
    assert normal(granted["ClusterRoleBinding", ""]) == normal(CLUSTER_RULES)
    assert normal(granted["RoleBinding", "red"]) == normal(TRAINING_RULES)
    granted = granted_to_the_operator(render(namespaces=["red"], kernelCache={"claimName": "k"}))
    assert normal(granted["ClusterRoleBinding", ""]) == normal((*CLUSTER_RULES, *NODE_RULES))


def test_what_is_switched_off_needs_no_rule(render: Render) -> None:
    off = {"enabled": False}
    granted = granted_to_the_operator(render(progress=off))
    assert normal(granted["ClusterRoleBinding", ""]) == normal(TRAINING_RULES)
    assert normal(granted["RoleBinding", NAMESPACE]) == normal(LEASE)
    granted = granted_to_the_operator(render(leaderElection=off, replicaCount=1))
    assert normal(granted["RoleBinding", NAMESPACE]) == normal(PROGRESS)
    granted = granted_to_the_operator(
        render(progress=off, leaderElection=off, replicaCount=1, namespaces=["red"])
    )
    assert set(granted) == {("RoleBinding", "red")}


def test_with_named_namespaces_it_grants_nothing_elsewhere(render: Render) -> None:
    granted = granted_to_the_operator(render(namespaces=["red", "blue"]))
    assert normal(granted["ClusterRoleBinding", ""]) == normal(CLUSTER_RULES)
    for namespace in ("red", "blue"):
        assert normal(granted["RoleBinding", namespace]) == normal(TRAINING_RULES)
    assert normal(granted["RoleBinding", NAMESPACE]) == normal(OWN)


def test_the_operators_own_namespace_can_be_served_too(render: Render) -> None:
    rendered = render(namespaces=[NAMESPACE])
    names = [o["metadata"]["name"] for o in rendered.all("Role")]
    assert len(set(names)) == len(names) == 2
    granted = granted_to_the_operator(rendered)["RoleBinding", NAMESPACE]
    assert normal(granted) == normal((*TRAINING_RULES, *OWN))


def test_the_names_that_secrets_and_the_lease_are_bound_to_are_those_it_is_started_with(
    render: Render,
) -> None:
    rendered = render(fullnameOverride="splats")
    role = next(o for o in rendered.all("Role") if o["metadata"]["namespace"] == NAMESPACE)
    names = {rule["resourceNames"][0] for rule in role["rules"] if "resourceNames" in rule}
    arguments = rendered.one("Deployment", "splats")["spec"]["template"]["spec"]["containers"][0][
        "args"
    ]
    assert names == {"splats-progress", "splats"}
    assert "--progress-secret=splats-progress" in arguments
    assert "--lease-name=splats" in arguments


def test_no_rule_has_a_wildcard(render: Render) -> None:
    for kind in ("ClusterRole", "Role"):
        for role in render(namespaces=["red"]).all(kind):
            for rule in role["rules"]:
                assert "*" not in rule["verbs"] + rule["resources"] + rule["apiGroups"]


def test_users_roles_are_aggregated_only_if_wanted(render: Render) -> None:
    def aggregated(rendered: Rendered) -> list[str]:
        return sorted(
            o["metadata"]["name"]
            for o in rendered.all("ClusterRole")
            if any("aggregate-to" in label for label in o["metadata"]["labels"])
        )

    name = f"{NAMESPACE}-splat-operator"
    assert aggregated(render()) == [f"{name}-edit", f"{name}-view"]
    assert aggregated(render(rbac={"aggregateToUserRoles": False})) == []


def test_rbac_can_be_left_to_others(render: Render) -> None:
    rendered = render(rbac={"create": False}, serviceAccount={"create": False, "name": "mine"})
    assert not rendered.all("ClusterRole") + rendered.all("Role") + rendered.all("ServiceAccount")
    assert rendered.pod["serviceAccountName"] == "mine"
