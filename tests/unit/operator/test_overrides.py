"""`spec.podTemplateOverrides`: merged as the API server would, or refused by the field's name."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from splat_operator.decide import CreateJob, decide
from splat_operator.decide.pod_template import override_fault
from splat_operator.world import KernelCacheSettings, World

from .builders import NOW, condition, installation, training

TRAINER = "spec.containers[trainer]"


def template(overrides: Any, **spec: Any) -> dict[str, Any]:
    asked = training(podTemplateOverrides=overrides, **spec)
    (action,) = decide(World(installation(), asked), NOW).actions
    assert isinstance(action, CreateJob)
    found: dict[str, Any] = action.manifest["spec"]["template"]
    return found


def trainer(**fields: Any) -> dict[str, Any]:
    return {"spec": {"containers": [{"name": "trainer", **fields}]}}


def neighbour(**resources: Any) -> dict[str, Any]:
    """A container beside the trainer's, as restricted as it."""
    plain = template(None)["spec"]["containers"][0]["securityContext"]
    return {"name": "side", "image": "x", "securityContext": plain, "resources": resources}


def refusal(overrides: Any) -> str:
    """What is told of overrides that are not taken: no Job is made then."""
    cache = KernelCacheSettings(in_image=False)
    asked = training(podTemplateOverrides=overrides)
    decision = decide(World(installation(kernel_cache=cache), asked), NOW)
    assert decision.actions == ()
    assert decision.status is not None
    accepted = condition(dict(decision.status), "Accepted")
    assert (accepted["status"], accepted["reason"]) == ("False", "InvalidPodTemplateOverrides")
    assert "jobName" not in decision.status
    return str(accepted["message"])


def test_what_has_no_field_of_its_own_is_merged_in() -> None:
    made = template(
        {
            "metadata": {"labels": {"team": "maps"}, "annotations": {"sidecar": "off"}},
            "spec": {
                "schedulerName": "volcano",
                "topologySpreadConstraints": [
                    {"topologyKey": "zone", "maxSkew": 1, "whenUnsatisfiable": "ScheduleAnyway"}
                ],
                "containers": [
                    {"name": "trainer", "resources": {"limits": {"ephemeral-storage": "9Gi"}}}
                ],
            },
        }
    )
    assert made["metadata"]["labels"]["team"] == "maps"
    assert made["metadata"]["labels"]["splatting.dev/training"] == "garden"
    assert made["spec"]["schedulerName"] == "volcano"
    (container,) = made["spec"]["containers"]
    limits = container["resources"]["limits"]
    assert limits == {"nvidia.com/gpu": 1, "ephemeral-storage": "9Gi"}


def test_a_neighbour_and_its_volume_can_be_added() -> None:
    plain = template(None)["spec"]["containers"][0]["securityContext"]
    neighbour = {
        "name": "proxy",
        "image": "proxy:1",
        "securityContext": plain,
        "volumeMounts": [{"name": "certificates", "mountPath": "/certificates"}],
    }
    made = template(
        {
            "spec": {
                "containers": [neighbour],
                "volumes": [{"name": "certificates", "configMap": {"name": "certificates"}}],
            }
        }
    )
    assert [one["name"] for one in made["spec"]["containers"]] == ["trainer", "proxy"]


@pytest.mark.parametrize("name", ["env", "ports", "volumes", "containers"])
def test_labels_and_other_maps_may_have_the_names_of_lists(name: str) -> None:
    made = template(
        {
            "metadata": {"labels": {name: "prod"}, "annotations": {name: "prod"}},
            "spec": {
                "nodeSelector": {name: "x"},
                "volumes": [{"name": "driver", "csi": {"volumeAttributes": {name: "a"}}}],
                "containers": [{"name": "trainer", "resources": {"limits": {name: "1"}}}],
            },
        },
        nodeSelector={"gpu": "h200"},
    )
    assert made["metadata"]["labels"][name] == "prod"
    assert made["metadata"]["annotations"][name] == "prod"
    assert made["spec"]["nodeSelector"] == {"gpu": "h200", name: "x"}
    assert made["spec"]["volumes"][-1]["csi"]["volumeAttributes"] == {name: "a"}
    assert made["spec"]["containers"][0]["resources"]["limits"][name] == "1"


def test_scratch_can_be_another_volume() -> None:
    claim: dict[str, Any] = {"ephemeral": {"volumeClaimTemplate": {"spec": {}}}}
    made = template({"spec": {"volumes": [{"name": "tmp", **claim}]}})
    (tmp,) = [one for one in made["spec"]["volumes"] if one["name"] == "tmp"]
    assert tmp == {"name": "tmp", **claim}


@pytest.mark.parametrize(
    ("overrides", "field"),
    [
        ({"spec": {"hostNetwork": True}}, "spec.hostNetwork"),
        ({"spec": {"hostPID": True}}, "spec.hostPID"),
        (
            {"spec": {"securityContext": {"runAsUser": 0}}},
            "spec.securityContext.runAsUser",
        ),
        (
            {"spec": {"securityContext": {"seccompProfile": {"type": "Unconfined"}}}},
            "spec.securityContext.seccompProfile",
        ),
        (
            {"spec": {"volumes": [{"name": "host", "hostPath": {"path": "/"}}]}},
            "spec.volumes[host]",
        ),
        (trainer(securityContext={"privileged": True}), f"{TRAINER}.securityContext.privileged"),
        (
            trainer(securityContext={"allowPrivilegeEscalation": True}),
            f"{TRAINER}.securityContext.allowPrivilegeEscalation",
        ),
        (
            trainer(securityContext={"capabilities": {"add": ["SYS_ADMIN"]}}),
            f"{TRAINER}.securityContext.capabilities.add",
        ),
        (
            trainer(securityContext={"readOnlyRootFilesystem": False}),
            f"{TRAINER}.securityContext.readOnlyRootFilesystem",
        ),
        (trainer(ports=[{"containerPort": 1, "hostPort": 1}]), f"{TRAINER}.ports"),
        (trainer(command=["sh"]), f"{TRAINER}.command"),
        (trainer(args=["train"]), f"{TRAINER}.args"),
        (trainer(image="other:1"), f"{TRAINER}.image"),
        (
            trainer(env=[{"name": "SPLAT_PROGRESS_TOKEN_FILE", "value": "/mine"}]),
            f"{TRAINER}.env[SPLAT_PROGRESS_TOKEN_FILE]",
        ),
        (
            trainer(env=[{"name": "SPLAT_RUN_ID", "value": "another"}]),
            f"{TRAINER}.env[SPLAT_RUN_ID]",
        ),
        (
            trainer(env=[{"name": "AWS_SECRET_ACCESS_KEY", "value": "plain"}]),
            f"{TRAINER}.env[AWS_SECRET_ACCESS_KEY]",
        ),
        (
            trainer(resources={"limits": {"nvidia.com/gpu": 8}}),
            f"{TRAINER}.resources.limits[nvidia.com/gpu]",
        ),
        (
            trainer(volumeMounts=[{"mountPath": "/var/run/splat", "name": "tmp"}]),
            f"{TRAINER}.volumeMounts[/var/run/splat]",
        ),
        (
            trainer(volumeMounts=[{"mountPath": "/var/run", "name": "tmp"}]),
            f"{TRAINER}.volumeMounts[/var/run]",
        ),
        (
            {"spec": {"volumes": [{"name": "progress", "emptyDir": {}}]}},
            "spec.volumes[progress]",
        ),
        ({"spec": {"automountServiceAccountToken": True}}, "spec.automountServiceAccountToken"),
        ({"spec": {"shareProcessNamespace": True}}, "spec.shareProcessNamespace"),
        ({"spec": {"restartPolicy": "OnFailure"}}, "spec.restartPolicy"),
        ({"spec": {"nodeName": "node-1"}}, "spec.nodeName"),
        ({"metadata": {"name": "mine"}}, "metadata.name"),
        ({"metadata": {"ownerReferences": []}}, "metadata.ownerReferences"),
        (
            {"metadata": {"labels": {"splatting.dev/training": "other"}}},
            "metadata.labels[splatting.dev/training]",
        ),
        (
            {"metadata": {"labels": {"batch.kubernetes.io/job-name": "other"}}},
            "metadata.labels[batch.kubernetes.io/job-name]",
        ),
        ({"spec": {"containers": None}}, "spec"),
        ({"spec": {"$patch": "replace"}}, "spec.$patch"),
        ({"kind": "Pod"}, "kind"),
        ({"spec": "all of it"}, "spec"),
        ({"spec": {"containers": {"trainer": {}}}}, "spec.containers"),
        ({"spec": {"containers": [{"image": "x"}]}}, "spec.containers[0]"),
        (
            {"spec": {"containers": [neighbour(limits={"nvidia.com/gpu": 1})]}},
            "spec.containers[side].resources.limits[nvidia.com/gpu]",
        ),
        (
            {"spec": {"initContainers": [neighbour(requests={"example.com/fpga": "1"})]}},
            "spec.initContainers[side].resources.requests[example.com/fpga]",
        ),
        (trainer(resources={"claims": [{"name": "gpu"}]}), f"{TRAINER}.resources.claims"),
        (
            {"spec": {"containers": [neighbour(claims=[{"name": "gpu"}])]}},
            "spec.containers[side].resources.claims",
        ),
        (
            {"spec": {"resourceClaims": [{"name": "gpu", "resourceClaimName": "gpu"}]}},
            "spec.resourceClaims",
        ),
    ],
)
def test_what_cannot_be_had_is_refused_with_the_fields_name(overrides: Any, field: str) -> None:
    assert refusal(overrides).startswith(f"spec.podTemplateOverrides.{field}")


def token_for(audience: Any, name: str) -> dict[str, Any]:
    """Overrides that bring in a volume with a token; None is for no audience."""
    asked = {"path": "token"} if audience is None else {"path": "token", "audience": audience}
    return {
        "spec": {
            "volumes": [{"name": name, "projected": {"sources": [{"serviceAccountToken": asked}]}}]
        }
    }


@pytest.mark.parametrize("prefix", [None, "", "S", "SPLAT_", "SPLAT_PROGRESS_"])
def test_variables_whose_names_nobody_knows_do_not_take_the_operators(prefix: str | None) -> None:
    source = {"configMapRef": {"name": "mine"}, **({} if prefix is None else {"prefix": prefix})}
    told = refusal(trainer(envFrom=[{"prefix": "MINE_", "secretRef": {"name": "a"}}, source]))
    assert told.startswith(f"spec.podTemplateOverrides.{TRAINER}.envFrom[1]: ")
    assert "spec.env" in told
    assert "prefix" in told


def test_variables_with_a_prefix_of_their_own_come_from_wherever_they_are() -> None:
    sources = [{"prefix": "MINE_", "configMapRef": {"name": "mine"}}]
    (container,) = template(trainer(envFrom=sources))["spec"]["containers"]
    assert container["envFrom"] == sources


def test_another_container_takes_its_variables_as_it_likes() -> None:
    side = {**neighbour(), "envFrom": [{"secretRef": {"name": "proxy"}}]}
    made = template({"spec": {"containers": [side]}})
    assert made["spec"]["containers"][1]["envFrom"] == side["envFrom"]


@pytest.mark.parametrize("name", ["token", "tmp"])
@pytest.mark.parametrize(
    "audience",
    [
        *(None, "", "splatting.dev/progress", ["sts.amazonaws.com"], "api", "k3s"),
        *("https://kubernetes.default.svc", "https://kubernetes.default.svc.cluster.local"),
        *("https://kubernetes.default.svc.corp.internal", "kubernetes.default.svc"),
    ],
)
def test_a_token_for_the_kubernetes_api_does_not_come_in_by_a_volume(
    audience: Any, name: str
) -> None:
    told = refusal(token_for(audience, name))
    assert told.startswith(f"spec.podTemplateOverrides.spec.volumes[{name}].projected")


def test_what_the_operators_own_token_is_for_no_other_token_is() -> None:
    issuer = "https://container.googleapis.com/v1/projects/maps/clusters/one"
    found = installation(api_audiences=(issuer,))
    told = override_fault(World(found, training(podTemplateOverrides=token_for(issuer, "token"))))
    assert "the trainer gets none for the Kubernetes API" in told


@pytest.mark.parametrize("audience", ["sts.amazonaws.com", "vault", "api://AzureADTokenExchange"])
def test_tokens_for_others_than_the_kubernetes_api_come_in_by_a_volume(audience: str) -> None:
    made = template(token_for(audience, "token"))
    assert "token" in [one["name"] for one in made["spec"]["volumes"]]


@pytest.mark.parametrize("name", ["mine", "tmp"])
def test_the_kernel_cache_does_not_come_in_by_a_volume_to_be_written(name: str) -> None:
    cache = {"persistentVolumeClaim": {"claimName": "kernels"}}
    found = installation(kernel_cache=KernelCacheSettings(claim_name="kernels"))
    asked = training(podTemplateOverrides={"spec": {"volumes": [{"name": name, **cache}]}})
    assert "mounted already, read-only" in override_fault(World(found, asked))


def test_kernels_in_a_folder_of_each_node_do_not_count_as_the_users_volume() -> None:
    found = installation(kernel_cache=KernelCacheSettings(node_path="/var/lib/splat"))

    def told(*volumes: dict[str, Any]) -> str:
        overrides = {"metadata": {"labels": {"team": "maps"}}, "spec": {"volumes": [*volumes]}}
        return override_fault(World(found, training(podTemplateOverrides=overrides)))

    assert told() == ""
    host = {"hostPath": {"path": "/var/lib/splat/gardens", "type": "Directory"}}
    assert "spec.volumes[mine]: hostPath" in told({"name": "mine", **host})
    assert "hostPath" in told({"name": "tmp", **host})
    assert "this volume is the operator's" in told(
        {"name": "kernels", "hostPath": {"path": "/", "type": "Directory"}}
    )


def test_another_container_does_not_see_the_progress_token() -> None:
    security = template(None)["spec"]["containers"][0]["securityContext"]
    thief = {
        "name": "thief",
        "image": "i",
        "securityContext": security,
        "volumeMounts": [{"name": "progress", "mountPath": "/token"}],
    }
    assert "progress token" in refusal({"spec": {"containers": [thief]}})
    assert "progress token" in refusal({"spec": {"initContainers": [thief]}})


json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    *(
                        "metadata",
                        "spec",
                        "containers",
                        "volumes",
                        "name",
                        "env",
                        "securityContext",
                    ),
                    *("volumeMounts", "mountPath", "resources", "limits", "labels", "trainer"),
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(st.dictionaries(st.sampled_from(["metadata", "spec", "kind"]), json_like, max_size=3))
def test_whatever_is_given_is_merged_or_refused_and_never_a_crash(overrides: Any) -> None:
    asked = training(podTemplateOverrides=overrides)
    decision = decide(World(installation(), asked), NOW)
    assert decision.status is not None
    accepted = condition(dict(decision.status), "Accepted")
    made = any(isinstance(action, CreateJob) for action in decision.actions)
    assert made == (accepted["reason"] != "InvalidPodTemplateOverrides")
    if made:
        (action,) = decision.actions
        assert isinstance(action, CreateJob)
        pod = action.manifest["spec"]["template"]["spec"]
        assert [one["name"] for one in pod["containers"]].count("trainer") == 1
