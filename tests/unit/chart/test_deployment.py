"""The Deployment: the settings that it starts the operator with, and how it is confined."""

from typing import Any

import pytest

from splat_operator.runtime.settings import Settings, read_settings
from tests.unit.chart.conftest import HelmError, Render, Rendered

IN_THE_POD = {"SPLAT_OPERATOR_NAMESPACE": "splat-system"}


def settings(rendered: Rendered) -> Settings:
    return read_settings(rendered.arguments, IN_THE_POD)


def test_the_operator_accepts_what_the_chart_starts_it_with(render: Render) -> None:
    found = settings(render())
    assert found.trainer_image == "splat-trainer:0.1.0"
    assert found.progress_url == "https://splat-operator.splat-system.svc:8443"
    assert found.namespaces == ()
    assert found.kernel_cache_claim == ""


@pytest.mark.parametrize(
    ("values", "setting", "expected"),
    [
        ({"namespaces": ["red", "blue"]}, "namespaces", ("red", "blue")),
        ({"progress": {"port": 9443}}, "progress_port", 9443),
        (
            {"progress": {"port": 9443}},
            "progress_url",
            "https://splat-operator.splat-system.svc:9443",
        ),
        ({"progress": {"enabled": False}}, "progress_url", ""),
        ({"metrics": {"port": 9090}}, "http_port", 9090),
        ({"kernelCache": {"claimName": "kernels"}}, "kernel_cache_claim", "kernels"),
        (
            {"kernelCache": {"claimName": "kernels", "path": "sm90"}},
            "kernel_cache_path",
            "sm90",
        ),
        ({"leaderElection": {"enabled": False}, "replicaCount": 1}, "leader_election", False),
        ({"workers": 3}, "workers", 3),
        ({"log": {"level": "debug"}}, "log_level", "debug"),
        ({"log": {"format": "text"}}, "log_format", "text"),
        (
            {"trainer": {"image": {"repository": "r.test/t", "digest": "sha256:" + "a" * 64}}},
            "trainer_image",
            "r.test/t@sha256:" + "a" * 64,
        ),
    ],
)
def test_a_value_reaches_the_operators_setting(
    render: Render, values: dict[str, Any], setting: str, expected: object
) -> None:
    assert getattr(settings(render(**values)), setting) == expected


def test_every_setting_can_be_given_by_the_chart(render: Render) -> None:
    values = (
        {"namespaces": ["red"]},
        {"kernelCache": {"create": True, "path": "sm90", "maxSize": "1Gi"}},
        {"kernelCache": {"nodePath": "/var/lib/splat", "architectures": ["9.0"]}},
        {"kernelCache": {"inImage": True}},
    )
    given = {argument.split("=")[0] for one in values for argument in render(**one).arguments}
    from_the_pod = {"namespace"}
    wanted = set(Settings.model_fields) - from_the_pod
    assert given == {"--" + name.replace("_", "-") for name in wanted}


def test_the_ports_are_those_that_the_service_and_the_probes_name(render: Render) -> None:
    rendered = render(progress={"port": 9443}, metrics={"port": 9090})
    container = rendered.pod["containers"][0]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert ports == {"http": 9090, "progress": 9443}
    for port in rendered.one("Service")["spec"]["ports"]:
        assert port["targetPort"] in ports
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container[probe]["httpGet"]["port"] in ports


def test_the_service_selects_the_pods(render: Render) -> None:
    rendered = render()
    labels = rendered.one("Deployment")["spec"]["template"]["metadata"]["labels"]
    selector = rendered.one("Service")["spec"]["selector"]
    assert selector.items() <= labels.items()


def test_a_digest_wins_over_the_tag(render: Render) -> None:
    digest = "sha256:" + "0" * 64
    image = {"repository": "r.test/o", "tag": "1", "digest": digest}
    assert render(image=image).pod["containers"][0]["image"] == f"r.test/o@{digest}"


def test_the_pod_is_confined_as_the_restricted_standard_asks_and_more(render: Render) -> None:
    pod = render().pod
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] > 0
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    (container,) = pod["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert "memory" in container["resources"]["limits"]
    assert {"hostNetwork", "hostPID", "hostIPC"}.isdisjoint(pod)


def test_replicas_without_leader_election_are_refused_with_the_reason(render: Render) -> None:
    with pytest.raises(HelmError, match=r"leaderElection\.enabled must be true"):
        render(replicaCount=2, leaderElection={"enabled": False})


def test_without_leader_election_an_update_never_runs_two(render: Render) -> None:
    rendered = render(replicaCount=1, leaderElection={"enabled": False})
    assert rendered.one("Deployment")["spec"]["strategy"] == {"type": "Recreate"}


def test_a_disruption_budget_comes_with_the_second_replica(render: Render) -> None:
    assert not render(replicaCount=1).all("PodDisruptionBudget")
    budget = render().one("PodDisruptionBudget")
    assert budget["spec"]["maxUnavailable"] == 1


def test_the_network_policy_lets_only_trainings_post_progress(render: Render) -> None:
    assert not render().all("NetworkPolicy")
    policy = render(networkPolicy={"enabled": True}).one("NetworkPolicy")["spec"]
    progress, metrics = policy["ingress"]
    assert progress["ports"] == [{"port": "progress"}]
    (peer,) = progress["from"]
    assert peer["podSelector"]["matchExpressions"] == [
        {"key": "splatting.dev/training", "operator": "Exists"}
    ]
    assert metrics["ports"] == [{"port": "http"}]
    assert {port["port"] for port in policy["egress"][0]["ports"]} == {53, 443, 6443}


def test_a_kernel_cache_is_made_in_each_namespace_and_stays(render: Render) -> None:
    rendered = render(namespaces=["red", "blue"], kernelCache={"create": True})
    claims = rendered.all("PersistentVolumeClaim")
    assert {claim["metadata"]["namespace"] for claim in claims} == {"red", "blue"}
    for claim in claims:
        assert claim["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
        assert claim["metadata"]["name"] == settings(rendered).kernel_cache_claim


def test_where_no_namespace_is_named_the_operator_makes_the_kernel_cache(render: Render) -> None:
    rendered = render(kernelCache={"create": True, "accessModes": ["ReadWriteOnce"]})
    found = settings(rendered)
    assert rendered.all("PersistentVolumeClaim") == []
    assert (found.kernel_cache_claim, found.kernel_cache_claim_size) == (
        "splat-operator-kernels",
        "5Gi",
    )
    assert found.kernel_cache_claim_access_modes == ("ReadWriteOnce",)


def test_how_kernels_are_compiled_reaches_the_operator(render: Render) -> None:
    found = settings(
        render(
            kernelCache={
                "nodePath": "/var/lib/splat",
                "architectures": ["8.0", "9.0"],
                "onMiss": "CompileInPod",
                "maxSize": "2Gi",
            }
        )
    )
    assert found.kernel_cache_node_path == "/var/lib/splat"
    assert found.kernel_cache_architectures == ("8.0", "9.0")
    assert found.kernel_cache_on_miss == "CompileInPod"
    assert found.kernel_cache_max_size == 2 * 1024**3
    assert found.kernel_cache_resources == {"requests": {"cpu": "1", "memory": "4Gi"}}
    assert settings(render(kernelCache={"inImage": True})).kernel_cache_in_image


def test_the_definition_of_the_resource_outlives_the_release(render: Render) -> None:
    definition = render().one("CustomResourceDefinition", "splattrainings.splatting.dev")
    assert definition["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"


def test_a_second_release_can_leave_the_definition_to_the_first(render: Render) -> None:
    assert not render(crd={"create": False}).all("CustomResourceDefinition")


def test_everything_namespaced_says_where_it_goes(render: Render) -> None:
    cluster_wide = {"ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition"}
    everything = render(
        replicaCount=2,
        networkPolicy={"enabled": True},
        namespaces=["splat-system"],
        metrics={"serviceMonitor": {"enabled": True}, "dashboard": {"enabled": True}},
    )
    for o in everything.objects:
        assert (o["kind"] in cluster_wide) != ("namespace" in o["metadata"]), o["kind"]


def test_its_pods_prefer_different_nodes(render: Render) -> None:
    rendered = render()
    (constraint,) = rendered.pod["topologySpreadConstraints"]
    labels = rendered.one("Deployment")["spec"]["template"]["metadata"]["labels"]
    assert constraint["topologyKey"] == "kubernetes.io/hostname"
    assert constraint["whenUnsatisfiable"] == "ScheduleAnyway"
    assert constraint["labelSelector"]["matchLabels"].items() <= labels.items()


def test_a_spread_with_a_selector_of_its_own_keeps_it(render: Render) -> None:
    given = {
        "maxSkew": 2,
        "topologyKey": "topology.kubernetes.io/zone",
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {"tier": "control"}},
    }
    assert render(topologySpreadConstraints=[given]).pod["topologySpreadConstraints"] == [given]
    assert "topologySpreadConstraints" not in render(topologySpreadConstraints=[]).pod
