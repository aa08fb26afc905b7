"""Compiled kernels: which Jobs are made for them, who waits, and what the resource tells."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from splat_operator.decide import (
    CreateJob,
    CreateWarmUp,
    Decision,
    RedoWarmUp,
    UpdateJob,
    decide,
    kernel_plan,
)
from splat_operator.world import (
    ClaimTemplate,
    GpuNode,
    Job,
    KernelCacheSettings,
    KernelsSeen,
    Pod,
    Training,
    WarmUp,
    World,
)
from splat_trainer.contract import ExitCode, KernelsDocument, KernelsOutcome, Reason

from .builders import (
    NOW,
    at,
    condition,
    finished,
    installation,
    job,
    pod,
    raw_pod,
    terminated,
    training,
)

CACHE = KernelCacheSettings(claim_name="kernels", architectures=("9.0",))
KEY = "gsplat-1.5.3-0123456789abcdef"
NODES = (GpuNode("a", "8.0"), GpuNode("b", "9.0"))


def warm_up(name: str, *pods: Pod, modes: tuple[str, ...] = (), **status: Any) -> WarmUp:
    raw = {
        "metadata": {"namespace": "gardens", "name": name, "uid": "warm-up-1"},
        "spec": {"backoffLimit": 2, "ttlSecondsAfterFinished": 7 * 24 * 3600},
        "status": {"startTime": at(1), **status},
    }
    return WarmUp(Job.from_api(raw), pods, modes)


def ended(**fields: Any) -> Pod:
    """A pod that compiled, with the document that it left."""
    document = KernelsDocument(**fields)
    failed = document.outcome is KernelsOutcome.FAILED
    return pod("kernels-x", **terminated(78 if failed else 0, document.to_json()))


def built() -> Pod:
    return ended(outcome=KernelsOutcome.BUILT, key=KEY, build_seconds=90.0)


def names(asked: Training, settings: KernelCacheSettings = CACHE, nodes: Any = ()) -> list[str]:
    plan = kernel_plan(installation(kernel_cache=settings), asked, nodes)
    return [one.name for one in plan.warm_ups]


def decided(
    asked: Training,
    found: WarmUp | None = None,
    *pods: Pod,
    settings: KernelCacheSettings = CACHE,
    own: Job | None = None,
    nodes: tuple[GpuNode, ...] = (),
    seconds: float = 5,
) -> Decision:
    seen = KernelsSeen(nodes=nodes, warm_ups={found.job.name: found} if found else {})
    world = World(installation(kernel_cache=settings), asked, own, pods, kernels=seen)
    return decide(world, NOW + timedelta(seconds=seconds))


def ready(decision: Decision) -> dict[str, Any]:
    assert decision.status is not None
    return condition(dict(decision.status), "KernelsReady")


def test_kernels_are_compiled_before_a_job_asks_for_a_gpu() -> None:
    decision = decided(training())
    (action,) = decision.actions
    assert isinstance(action, CreateWarmUp)
    assert decision.status is not None
    assert decision.status["phase"] == "PreparingKernels"
    assert (ready(decision)["status"], ready(decision)["reason"]) == ("False", "Compiling")
    assert "jobName" not in decision.status


def test_the_job_that_compiles_holds_no_gpu_and_alone_may_write() -> None:
    (action,) = decided(training()).actions
    assert isinstance(action, CreateWarmUp)
    template = action.manifest["spec"]["template"]["spec"]
    (container,) = template["containers"]
    assert container["args"] == [
        *("kernels", "build", "--cache", "/kernels", "--architectures", "9.0")
    ]
    assert "nvidia.com/gpu" not in str(container.get("resources"))
    assert {"name": "kernels", "mountPath": "/kernels"} in container["volumeMounts"]
    assert template["automountServiceAccountToken"] is False
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert template["securityContext"]["runAsNonRoot"] is True
    done = warm_up(names(training())[0], built(), **finished("Complete"))
    (made,) = decided(training(), done).actions
    assert isinstance(made, CreateJob)
    mounts = made.manifest["spec"]["template"]["spec"]["containers"][0]["volumeMounts"]
    assert {"name": "kernels", "mountPath": "/kernels", "readOnly": True} in mounts


def test_the_caches_folder_reaches_the_compiler_as_it_is() -> None:
    asked = training(kernelCache={"claimName": "mine", "path": "$(HOME)"})
    (action,) = decided(asked).actions
    assert isinstance(action, CreateWarmUp)
    (container,) = action.manifest["spec"]["template"]["spec"]["containers"]
    assert container["args"][3] == "/kernels/$$(HOME)"


def test_who_needs_the_same_kernels_waits_for_the_same_job() -> None:
    other = replace(training(), name="other", uid="another-uid")
    assert names(training()) == names(other)
    assert names(training()) != names(training(image="other:1"))
    assert names(training()) != names(training(kernelCache={"architectures": ["8.0"]}))
    assert names(training()) != names(training(kernelCache={"claimName": "mine"}))


def test_the_order_in_which_architectures_are_named_is_nothing() -> None:
    one, two = ({"architectures": list(order)} for order in (("9.0", "10.0"), ("10.0", "9.0")))
    assert names(training(kernelCache=one)) == names(training(kernelCache=two))
    plan = kernel_plan(installation(kernel_cache=CACHE), training(kernelCache=one))
    assert plan.warm_ups[0].architectures == ("9.0", "10.0")


def test_labels_of_nodes_tell_the_architectures_where_nobody_does() -> None:
    settings = KernelCacheSettings(claim_name="kernels")
    plan = kernel_plan(installation(kernel_cache=settings), training(), NODES)
    assert plan.warm_ups[0].architectures == ("8.0", "9.0")
    decision = decided(training(), settings=settings)
    assert ready(decision)["reason"] == "ArchitecturesUnknown"
    assert any(isinstance(action, CreateJob) for action in decision.actions)


def test_a_node_of_a_new_kind_has_its_kernels_compiled_beside_a_running_training() -> None:
    settings = KernelCacheSettings(claim_name="kernels")
    asked = training()
    decision = decided(asked, own=job(asked), nodes=NODES, settings=settings)
    assert [type(action) for action in decision.actions] == [CreateWarmUp]


def test_a_folder_of_each_node_is_filled_on_each_node_and_apart_by_namespace() -> None:
    settings = KernelCacheSettings(node_path="/var/lib/splat")
    decision = decided(training(), settings=settings, nodes=NODES)
    made = [action for action in decision.actions if isinstance(action, CreateWarmUp)]
    pods = [one.manifest["spec"]["template"]["spec"] for one in made]
    for spec, name in zip(pods, ("a", "b"), strict=True):
        # By the node's name: the label of its host's name may be another.
        affinity = spec["affinity"]["nodeAffinity"]
        (term,) = affinity["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
        assert term == {
            "matchFields": [{"key": "metadata.name", "operator": "In", "values": [name]}]
        }
        assert spec["tolerations"] == [{"operator": "Exists"}]
    volumes = pods[0]["volumes"]
    # One that the kubelet makes is root's: the pod could not write into it.
    assert volumes[0]["hostPath"] == {"path": "/var/lib/splat/gardens", "type": "Directory"}


@pytest.mark.parametrize(
    ("spec", "settings", "status", "reason"),
    [
        ({"kernelCache": {"source": "Image"}}, CACHE, "True", "InImage"),
        ({}, KernelCacheSettings(in_image=True), "True", "InImage"),
        ({"resources": {"gpus": 0}}, CACHE, "True", "NotNeeded"),
        ({}, KernelCacheSettings(), "Unknown", "NoCache"),
    ],
)
def test_where_nothing_need_be_compiled_nothing_is_waited_for(
    spec: dict[str, Any], settings: KernelCacheSettings, status: str, reason: str
) -> None:
    decision = decided(training(**spec), settings=settings)
    assert [type(action) for action in decision.actions] == [CreateJob]
    assert (ready(decision)["status"], ready(decision)["reason"]) == (status, reason)


def test_a_failed_compile_is_told_with_the_end_of_the_compilers_log_and_waited_out() -> None:
    words = "nvcc failed\nline one\nerror: no kernel image for sm_999"
    failed = ended(outcome=KernelsOutcome.FAILED, reason=Reason.KERNELS_NOT_COMPILED, message=words)
    found = warm_up(names(training())[0], failed, **finished("Failed", "PodFailurePolicy"))
    decision = decided(training(), found)
    verdict = ready(decision)
    assert (verdict["status"], verdict["reason"]) == ("False", "CompileFailed")
    assert "nvcc failed" in verdict["message"]
    assert "no kernel image for sm_999" in verdict["message"]
    # The Job goes after a while, and whoever waits has another one made.
    (action,) = decision.actions
    assert isinstance(action, UpdateJob)
    assert action.spec == {"ttlSecondsAfterFinished": 600}
    assert [type(one) for one in decided(training()).actions] == [CreateWarmUp]


@pytest.mark.parametrize(
    ("waited", "pause"), [(60, 600), (600, 600), (1500, 1500), (4000, 4000), (90_000, 7200)]
)
def test_pauses_after_failed_compiles_grow_with_the_wait_up_to_two_hours(
    waited: int, pause: int
) -> None:
    since = {"type": "KernelsReady", "status": "False", "lastTransitionTime": at(0)}
    waits = training(status={"conditions": [since]})
    (name,) = names(waits)
    found = warm_up(name, **finished("Failed", "BackoffLimitExceeded", seconds=waited))
    (action,) = decided(waits, found).actions
    assert isinstance(action, UpdateJob)
    assert action.spec == {"ttlSecondsAfterFinished": pause}


def test_a_failed_compile_that_has_its_pause_keeps_it_and_tells_when_it_is_over() -> None:
    found = warm_up(names(training())[0], **finished("Failed", "BackoffLimitExceeded"))
    paused = replace(found, job=replace(found.job, ttl_seconds_after_finished=1500))
    decision = decided(training(), paused)
    assert decision.actions == ()
    assert paused.job.finished_at is not None
    then = paused.job.finished_at + timedelta(seconds=1500)
    assert ready(decision)["message"].endswith(f"; tried again at {then:%H:%M} UTC")


def test_on_a_failed_compile_the_policy_decides() -> None:
    def after(policy: str) -> Decision:
        asked = training(kernelCache={"claimName": "kernels", "onMiss": policy})
        found = warm_up(names(asked)[0], **finished("Failed", "BackoffLimitExceeded"))
        return decided(asked, found)

    def environment(decision: Decision) -> dict[str, str]:
        (made,) = [action for action in decision.actions if isinstance(action, CreateJob)]
        (container,) = made.manifest["spec"]["template"]["spec"]["containers"]
        return {one["name"]: one.get("value", "") for one in container["env"]}

    in_pod = after("CompileInPod")
    assert environment(in_pod)["SPLAT_KERNELS_ON_MISS"] == "compile"
    assert ready(in_pod)["reason"] == "CompileFailed"
    over = after("Fail")
    assert over.status is not None
    assert over.status["phase"] == "Failed"
    assert condition(dict(over.status), "Succeeded")["reason"] == "KernelsNotCompiled"
    assert not any(isinstance(action, CreateJob) for action in after("Build").actions)


def told(decision: Decision) -> dict[str, Any]:
    assert decision.status is not None
    return dict(decision.status)


def test_that_kernels_are_there_is_told_though_the_job_was_seen_first() -> None:
    waiting = told(decided(training()))
    asked = training(status=waiting)
    done = warm_up(names(asked)[0], built(), **finished("Complete"))
    ready_now = condition(told(decided(asked, done, own=job(asked))), "KernelsReady")
    assert (ready_now["status"], ready_now["reason"]) == ("True", "Compiled")


def test_the_policy_to_fail_is_told_of_the_kernels_too() -> None:
    asked = training(kernelCache={"claimName": "kernels", "onMiss": "Fail"})
    asked = replace(asked, status=told(decided(asked)))
    failed = warm_up(names(asked)[0], **finished("Failed", "BackoffLimitExceeded"))
    ended_so = condition(told(decided(asked, failed)), "KernelsReady")
    assert (ended_so["status"], ended_so["reason"]) == ("False", "KernelsNotCompiled")


def test_a_pod_that_compiles_and_gets_no_node_is_told_in_the_schedulers_words() -> None:
    stuck = Pod.from_api(
        raw_pod(
            "kernels-x",
            node="",
            conditions=[
                {
                    "type": "PodScheduled",
                    "status": "False",
                    "reason": "Unschedulable",
                    "message": "0/1 nodes are available: 1 Insufficient memory.",
                }
            ],
        )
    )
    decision = decided(training(), warm_up(names(training())[0], stuck))
    assert ready(decision)["reason"] == "KernelsBlocked"
    assert "Insufficient memory" in ready(decision)["message"]


@pytest.mark.parametrize(
    ("labels", "words"),
    [({}, "suspended"), ({"kueue.x-k8s.io/queue-name": "default"}, "queue default")],
)
def test_a_job_that_compiles_and_that_somebody_has_suspended_is_told(
    labels: dict[str, str], words: str
) -> None:
    (name,) = names(training())
    raw = {
        "metadata": {"namespace": "gardens", "name": name, "uid": "u", "labels": labels},
        "spec": {"suspend": True},
        "status": {},
    }
    verdict = ready(decided(training(), WarmUp(Job.from_api(raw))))
    assert verdict["reason"] == "KernelsBlocked"
    assert name in verdict["message"]
    assert words in verdict["message"]


def test_what_a_claim_of_one_node_means_is_told() -> None:
    found = warm_up(names(training())[0], built(), modes=("ReadWriteOnce",), **finished("Complete"))
    verdict = ready(decided(training(), found))
    assert verdict["status"] == "True"
    assert KEY in verdict["message"]
    assert "run on one node" in verdict["message"]


def refused(started: float) -> Pod:
    """A pod that compiled for itself, as what it found in the cache was damaged."""
    result = (
        '{"outcome":"Succeeded","exitCode":0,"reason":"Trained","message":"done",'
        '"kernels":{"source":"Compiled","seconds":200.0,"refused":"sha256 differs"}}'
    )
    raw = raw_pod("garden-x", **terminated(0, result))
    raw["status"]["containerStatuses"][0]["state"]["terminated"]["startedAt"] = at(started)
    return Pod.from_api(raw)


def test_a_damaged_cache_is_filled_again_once() -> None:
    asked = training()
    done = warm_up(names(asked)[0], built(), **finished("Complete", seconds=60))
    (action,) = decided(asked, done, refused(70), own=job(asked)).actions
    assert isinstance(action, RedoWarmUp)
    assert action.uid == "warm-up-1"
    # The one that was made instead ended after that pod had started.
    again = warm_up(names(asked)[0], built(), **finished("Complete", seconds=80))
    assert decided(asked, again, refused(70), own=job(asked)).actions == ()


def test_kernels_that_another_job_has_deleted_since_are_compiled_again_first() -> None:
    asked = training()
    done = warm_up(names(asked)[0], built(), **finished("Complete", seconds=3))
    decision = decided(asked, replace(done, collected=True))
    (action,) = decision.actions
    assert isinstance(action, RedoWarmUp)
    assert decision.status is not None
    assert decision.status["phase"] == "PreparingKernels"
    assert ready(decision)["reason"] == "Compiling"


def test_the_status_tells_which_kernels_were_used_and_what_that_saved() -> None:
    result = (
        '{"outcome":"Succeeded","exitCode":0,"reason":"Trained","message":"done",'
        f'"kernels":{{"source":"Cache","key":"{KEY}","seconds":0.21}}}}'
    )
    asked = training()
    found = warm_up(names(asked)[0], built(), **finished("Complete"))
    decision = decided(asked, found, pod(**terminated(0, result)), own=job(asked))
    assert decision.status is not None
    assert decision.status["kernels"] == {
        "source": "Cache",
        "key": KEY,
        "seconds": "0.21",
        "secondsSaved": 90,
    }


def test_a_build_that_tells_of_absurd_seconds_saves_no_more_than_the_api_takes() -> None:
    result = (
        '{"outcome":"Succeeded","exitCode":0,"reason":"Trained","message":"done",'
        f'"kernels":{{"source":"Cache","key":"{KEY}","seconds":0.2}}}}'
    )
    asked = training()
    absurd = ended(outcome=KernelsOutcome.BUILT, key=KEY, build_seconds=1e300)
    found = warm_up(names(asked)[0], absurd, **finished("Complete"))
    decision = decided(asked, found, pod(**terminated(0, result)), own=job(asked))
    assert decision.status is not None
    assert decision.status["kernels"]["secondsSaved"] == 2**63 - 1


def test_a_claim_is_made_only_where_it_is_the_operators_own() -> None:
    settings = replace(CACHE, claim_template=ClaimTemplate("5Gi"))
    (own,) = decided(training(), settings=settings).actions
    asked = training(kernelCache={"claimName": "mine", "architectures": ["9.0"]})
    (foreign,) = decided(asked, settings=settings).actions
    assert isinstance(own, CreateWarmUp)
    assert isinstance(foreign, CreateWarmUp)
    assert own.claim_template == ClaimTemplate("5Gi")
    assert foreign.claim_template is None


def test_the_limit_and_what_is_in_use_are_told_to_the_one_that_cleans_up() -> None:
    seen = KernelsSeen(keys_in_use=("key-a", "key-b"))
    settings = replace(CACHE, max_bytes=1000)
    world = World(installation(kernel_cache=settings), training(), kernels=seen)
    (action,) = decide(world, NOW).actions
    assert isinstance(action, CreateWarmUp)
    (container,) = action.manifest["spec"]["template"]["spec"]["containers"]
    assert container["args"][-5:] == ["--max-bytes", "1000", "--in-use", "key-a", "key-b"]


def test_a_compiler_that_fails_is_not_tried_thrice_in_a_row() -> None:
    (action,) = decided(training()).actions
    assert isinstance(action, CreateWarmUp)
    rule = action.manifest["spec"]["podFailurePolicy"]["rules"][0]
    assert rule["action"] == "FailJob"
    assert ExitCode.CONFIG.value in rule["onExitCodes"]["values"]
