"""The Job that is made of a spec."""

import json
from dataclasses import replace
from typing import Any

import pytest

from splat_operator.decide import CreateJob, DeleteJob, UpdateJob, decide
from splat_operator.world import KernelCacheSettings, Pod, Training, World

from .builders import (
    NOW,
    S3,
    finished,
    installation,
    job,
    pod,
    running,
    terminated,
    training,
    world,
)


def manifest(training: Training, **changes: Any) -> dict[str, Any]:
    decided = decide(World(installation(**changes), training), NOW)
    (action,) = decided.actions
    assert isinstance(action, CreateJob)
    return action.manifest


def pod_spec(training: Training, **changes: Any) -> dict[str, Any]:
    spec: dict[str, Any] = manifest(training, **changes)["spec"]["template"]["spec"]
    return spec


def container(training: Training, **changes: Any) -> dict[str, Any]:
    (only,) = pod_spec(training, **changes)["containers"]
    return dict(only)


def variables(training: Training, **changes: Any) -> dict[str, Any]:
    return {one["name"]: one for one in container(training, **changes)["env"]}


def test_the_job_is_controlled_by_its_training() -> None:
    made = manifest(training())
    (owner,) = made["metadata"]["ownerReferences"]
    assert owner["controller"] is True
    assert owner["uid"] == training().uid
    assert made["metadata"]["namespace"] == "gardens"


def test_the_same_training_always_gets_the_same_job() -> None:
    assert manifest(training()) == manifest(training())
    assert manifest(training())["metadata"]["name"] == "garden-5f1c9a2e"


def test_the_longest_name_still_makes_a_label() -> None:
    raw = Training("n", "a" * 52, "5f1c9a2e", 1, training().spec)
    assert len(manifest(raw)["metadata"]["name"]) <= 63


def test_exit_codes_of_the_users_faults_fail_the_job_and_disruptions_do_not_count() -> None:
    made = manifest(training(maxRetries=5))["spec"]
    fail, ignore = made["podFailurePolicy"]["rules"]
    assert fail["action"] == "FailJob"
    assert fail["onExitCodes"]["values"] == [65, 66, 78]
    assert ignore["action"] == "Ignore"
    assert ignore["onPodConditions"] == [{"type": "DisruptionTarget", "status": "True"}]
    assert made["podReplacementPolicy"] == "Failed"
    assert made["backoffLimit"] == 5
    assert made["template"]["spec"]["restartPolicy"] == "Never"


def test_the_pod_is_restricted_and_has_no_api_token() -> None:
    pod = pod_spec(training())
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    security = container(training())["securityContext"]
    assert security == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_a_gpu_is_a_limit_and_its_taint_is_tolerated() -> None:
    asked = training(resources={"memory": "16Gi", "cpu": 4, "gpuResourceName": "nvidia.com/mig-3g"})
    assert container(asked)["resources"] == {
        "requests": {"cpu": "4", "memory": "16Gi"},
        "limits": {"memory": "16Gi", "nvidia.com/mig-3g": 1},
    }
    (taint,) = pod_spec(asked)["tolerations"]
    assert taint["key"] == "nvidia.com/mig-3g"
    assert "cuda" in container(asked)["args"]


def test_without_a_gpu_the_pod_trains_on_its_cpu_and_sees_no_gpu() -> None:
    asked = training(resources={"gpus": 0})
    assert container(asked)["resources"] == {}
    assert "tolerations" not in pod_spec(asked)
    args = container(asked)["args"]
    assert args[args.index("--device") + 1] == "cpu"
    assert variables(asked)["NVIDIA_VISIBLE_DEVICES"]["value"] == "void"


def test_several_gpus_train_one_scene_together() -> None:
    asked = training(resources={"gpus": 4})
    assert container(asked)["resources"]["limits"] == {"nvidia.com/gpu": 4}
    args = container(asked)["args"]
    assert args[args.index("--gpus") + 1] == "4"
    assert args[args.index("--device") + 1] == "cuda"
    volumes = {one["name"]: one for one in pod_spec(asked)["volumes"]}
    assert volumes["shm"]["emptyDir"] == {"medium": "Memory", "sizeLimit": "4Gi"}
    asked = training(resources={"gpus": 4, "sharedMemory": "2Gi"})
    volumes = {one["name"]: one for one in pod_spec(asked)["volumes"]}
    assert volumes["shm"]["emptyDir"]["sizeLimit"] == "2Gi"


def test_who_wants_dev_shm_for_something_else_gets_it_left_free() -> None:
    asked = training(resources={"sharedMemory": 0})
    assert "shm" not in {one["name"] for one in pod_spec(asked)["volumes"]}
    paths = {one["mountPath"] for one in container(asked)["volumeMounts"]}
    assert "/dev/shm" not in paths  # noqa: S108
    assert "/tmp" in paths  # noqa: S108


@pytest.mark.parametrize("asked", [{"resources": {"gpus": 0}}, {}])
def test_one_gpu_needs_no_word_of_how_many(asked: dict[str, Any]) -> None:
    assert "--gpus" not in container(training(**asked))["args"]


def test_a_training_on_the_cpu_uses_none_of_its_gpus() -> None:
    asked = training(resources={"gpus": 2}, training={"device": "cpu"})
    assert "--gpus" not in container(asked)["args"]


def test_only_what_the_user_set_reaches_the_command_line() -> None:
    args = container(training(training={"iterations": 500, "strategy": "absgrad"}))["args"]
    assert args[0] == "train"
    assert args[args.index("--iterations") + 1] == "500"
    assert args[args.index("--strategy") + 1] == "absgrad"
    assert "--seed" not in args
    assert "--sh-degree" not in args


def test_claims_are_mounted_the_source_read_only() -> None:
    asked = training()
    args = container(asked)["args"]
    assert args[args.index("--data") + 1] == "/data/garden"
    assert args[args.index("--output") + 1] == "/output"
    mounted = {one["name"]: one for one in container(asked)["volumeMounts"]}
    assert mounted["source"]["readOnly"] is True
    assert "readOnly" not in mounted["output"]
    assert mounted["tmp"]["mountPath"] == "/tmp"  # noqa: S108
    volumes = {one["name"]: one for one in pod_spec(asked)["volumes"]}
    assert volumes["source"]["persistentVolumeClaim"]["claimName"] == "captures"
    assert volumes["shm"]["emptyDir"] == {"medium": "Memory", "sizeLimit": "1Gi"}


def test_a_claim_that_is_read_and_written_is_one_volume() -> None:
    """Under two names in one pod the kubelet would wait for the second for ever."""
    asked = training(output={"persistentVolumeClaim": {"claimName": "captures", "path": "splats"}})
    claims = [one for one in pod_spec(asked)["volumes"] if "persistentVolumeClaim" in one]
    assert [one["name"] for one in claims] == ["source"]
    mounted = [one for one in container(asked)["volumeMounts"] if one["name"] == "source"]
    assert mounted == [
        {"name": "source", "mountPath": "/data", "readOnly": True},
        {"name": "source", "mountPath": "/output"},
    ]


def test_s3_credentials_come_by_reference_and_never_by_value() -> None:
    asked = training(source={"s3": S3}, output={"s3": {**S3, "uri": "s3://splats/garden"}})
    args = container(asked)["args"]
    assert args[args.index("--data") + 1] == "s3://captures/garden"
    assert args[args.index("--output") + 1] == "s3://splats/garden"
    env = variables(asked)
    assert env["AWS_ENDPOINT_URL_S3"]["value"] == S3["endpoint"]
    for key in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        assert env[key]["valueFrom"]["secretKeyRef"] == {"name": "s3-credentials", "key": key}
        assert "value" not in env[key]
    assert env["AWS_SESSION_TOKEN"]["valueFrom"]["secretKeyRef"]["optional"] is True


def test_the_pod_gets_a_token_that_is_good_for_progress_only() -> None:
    pod = manifest(training())["spec"]["template"]
    (progress,) = [one for one in pod["spec"]["volumes"] if one["name"] == "progress"]
    token, authority = progress["projected"]["sources"]
    assert token["serviceAccountToken"]["audience"] == "splatting.dev/progress"
    (item,) = authority["downwardAPI"]["items"]
    assert item["path"] == "ca.crt"
    assert pod["metadata"]["annotations"] == {
        "splatting.dev/progress-ca": "-----BEGIN CERTIFICATE-----"
    }
    assert variables(training())["SPLAT_PROGRESS_URL"]["value"] == (
        "https://splat-operator.splat-system.svc:8443"
        "/v1/namespaces/gardens/trainings/garden/progress"
    )


def test_without_a_progress_address_no_token_is_asked_for() -> None:
    made = json.dumps(manifest(training(), progress_url=""))
    assert "serviceAccountToken" not in made
    assert "SPLAT_PROGRESS" not in made


@pytest.mark.parametrize(
    ("spec", "setting", "expected"),
    [
        ({}, KernelCacheSettings(), None),
        ({}, KernelCacheSettings(claim_name="kernels", path="sm90"), ("kernels", "/kernels/sm90")),
        ({"kernelCache": {"claimName": "mine"}}, KernelCacheSettings(), ("mine", "/kernels")),
        (
            {"kernelCache": {"claimName": "mine"}},
            KernelCacheSettings(claim_name="kernels"),
            ("mine", "/kernels"),
        ),
        ({"resources": {"gpus": 0}}, KernelCacheSettings(claim_name="kernels"), None),
    ],
)
def test_kernels_are_mounted_read_only_from_the_spec_or_else_the_setting(
    spec: dict[str, Any], setting: KernelCacheSettings, expected: tuple[str, str] | None
) -> None:
    asked = training(**spec)
    folder = variables(asked, kernel_cache=setting).get("SPLAT_KERNELS_DIR")
    volumes = {one["name"]: one for one in pod_spec(asked, kernel_cache=setting)["volumes"]}
    if expected is None:
        assert folder is None
        assert "kernels" not in volumes
        return
    claim, path = expected
    assert folder is not None
    assert folder["value"] == path
    assert volumes["kernels"]["persistentVolumeClaim"]["claimName"] == claim
    mounted = {one["name"]: one for one in container(asked, kernel_cache=setting)["volumeMounts"]}
    assert mounted["kernels"]["readOnly"] is True


def test_a_users_variable_replaces_the_operators() -> None:
    asked = training(
        resources={"gpus": 0}, env=[{"name": "NVIDIA_VISIBLE_DEVICES", "value": "all"}]
    )
    assert variables(asked)["NVIDIA_VISIBLE_DEVICES"]["value"] == "all"
    assert len(container(asked)["env"]) == len(variables(asked))


def test_what_the_user_writes_reaches_the_trainer_as_it_is() -> None:
    """Kubernetes would put a variable's value in place of $(NAME), a Secret's too."""
    hostile = "a$$b/$(AWS_SECRET_ACCESS_KEY)"
    kept = "a$$$$b/$$(AWS_SECRET_ACCESS_KEY)"
    place = {"claimName": "captures", "path": hostile}
    asked = training(
        source={"persistentVolumeClaim": place},
        output={"persistentVolumeClaim": {**place, "claimName": "splats"}},
        checkpoint={"where": {"persistentVolumeClaim": {**place, "claimName": "kept"}}},
        kernelCache={"claimName": "kernels", "path": hostile},
        env=[{"name": "MINE", "value": "$(HOME)"}],
    )
    args = container(asked)["args"]
    assert args[args.index("--data") + 1] == f"/data/{kept}"
    assert args[args.index("--output") + 1] == f"/output/{kept}"
    assert args[args.index("--checkpoints") + 1].startswith(f"/checkpoints/{kept}/")
    assert variables(asked)["SPLAT_KERNELS_DIR"]["value"] == f"/kernels/{kept}"
    # This one is the user's own, and means what it means in any container.
    assert variables(asked)["MINE"]["value"] == "$(HOME)"
    s3 = {**S3, "uri": "s3://captures/$(HOME)"}
    args = container(training(source={"s3": s3}, output={"s3": s3}))["args"]
    assert args[args.index("--data") + 1] == "s3://captures/$$(HOME)"


def test_placement_follows_the_spec() -> None:
    asked = training(
        resources={"gpus": 0},
        nodeSelector={"gpu": "h200"},
        tolerations=[{"key": "spot", "operator": "Exists"}],
        affinity={"nodeAffinity": {}},
        priorityClassName="high",
        runtimeClassName="nvidia",
        serviceAccountName="trainer",
        imagePullSecrets=[{"name": "registry"}],
        image="other:2",
        imagePullPolicy="Always",
    )
    pod = pod_spec(asked)
    assert pod["nodeSelector"] == {"gpu": "h200"}
    assert pod["tolerations"] == [{"key": "spot", "operator": "Exists"}]
    assert pod["affinity"] == {"nodeAffinity": {}}
    assert pod["priorityClassName"] == "high"
    assert pod["runtimeClassName"] == "nvidia"
    assert pod["serviceAccountName"] == "trainer"
    assert pod["imagePullSecrets"] == [{"name": "registry"}]
    assert container(asked)["image"] == "other:2"
    assert container(asked)["imagePullPolicy"] == "Always"


def test_a_suspended_training_gets_a_suspended_job() -> None:
    assert manifest(training(suspend=True))["spec"]["suspend"] is True


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"suspend": True}, {"suspend": True}),
        ({"maxRetries": 9}, {"backoffLimit": 9}),
        ({"activeDeadlineSeconds": 60}, {"activeDeadlineSeconds": 60}),
    ],
)
def test_what_may_change_is_changed_in_the_running_job(
    spec: dict[str, Any], expected: dict[str, Any]
) -> None:
    asked = training(**spec)
    (action,) = decide(world(asked, job(asked, active=1)), NOW).actions
    assert isinstance(action, UpdateJob)
    assert action.spec == expected


def test_the_time_to_live_is_set_only_when_the_end_is_written() -> None:
    ended: dict[str, Any] = {
        "observedGeneration": 1,
        "conditions": [{"type": "Succeeded", "status": "True"}],
    }
    before = training(ttlSecondsAfterFinished=60)
    after = training(ttlSecondsAfterFinished=60, status=ended)
    done = job(before, **finished("Complete"))
    assert decide(world(before, done), NOW).actions == ()
    (action,) = decide(world(after, done), NOW).actions
    assert isinstance(action, UpdateJob)
    assert action.spec == {"ttlSecondsAfterFinished": 60}
    # The Job is gone with its time to live: nothing is made again.
    assert decide(world(after, None), NOW).actions == ()


def test_a_job_that_outlives_the_end_is_stopped() -> None:
    ended = {
        "observedGeneration": 1,
        "conditions": [{"type": "Succeeded", "status": "False"}],
    }
    over = training(status=ended)
    (action,) = decide(world(over, job(over, active=1)), NOW).actions
    assert isinstance(action, DeleteJob)


GOOD = {"type": "Succeeded", "status": "True", "reason": "Trained"}
NOT_GOOD_ENOUGH = {"type": "Succeeded", "status": "False", "reason": "QualityGateFailed"}


def leaving(found: Pod) -> Pod:
    return replace(found, deleting=True)


@pytest.mark.parametrize("told", [GOOD, NOT_GOOD_ENOUGH])
@pytest.mark.parametrize("pods", [(), (leaving(pod(**terminated(0))),), (pod(**running()),)])
def test_a_suspended_job_whose_pod_is_done_and_not_counted_goes_or_it_would_train_again(
    told: dict[str, str], pods: tuple[Pod, ...]
) -> None:
    over = training(status={"observedGeneration": 1, "conditions": [told], "podName": "garden-x"})
    held = job(over, spec={"suspend": True})
    (action,) = decide(world(over, held, *pods), NOW).actions
    assert isinstance(action, DeleteJob)
    assert decide(world(over, replace(held, deleting=True), *pods), NOW).actions == ()


def test_a_job_that_trains_once_more_what_is_done_is_stopped() -> None:
    """Kueue has admitted it again before anybody has seen that it was suspended."""
    over = training(status={"observedGeneration": 1, "conditions": [GOOD], "podName": "garden-x"})
    (action,) = decide(world(over, job(over), pod("garden-y", **running())), NOW).actions
    assert isinstance(action, DeleteJob)


@pytest.mark.parametrize("suspended", [True, False])
def test_a_job_whose_pod_is_done_and_will_be_counted_stays_with_its_log(suspended: bool) -> None:
    over = training(status={"observedGeneration": 1, "conditions": [GOOD], "podName": "garden-x"})
    done = job(over, spec={"suspend": suspended})
    assert decide(world(over, done, pod(**terminated(0))), NOW).actions == ()


def test_a_training_that_is_being_deleted_is_left_alone() -> None:
    going = Training.from_api(
        {"metadata": {"name": "a", "uid": "b", "deletionTimestamp": "x"}, "spec": {}}
    )
    assert decide(world(going), NOW) == decide(world(going), NOW)
    assert decide(world(going), NOW).actions == ()
    assert decide(world(going), NOW).status is None
