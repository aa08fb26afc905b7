"""Compiled kernels: which Jobs are made for them, who waits, and what the resource tells."""

from dataclasses import replace
from typing import Any

import pytest

from splat_operator.decide import CreateJob, CreateWarmUp, decide, kernel_plan
from splat_operator.world import ClaimTemplate, KernelCacheSettings, KernelsSeen, World
from splat_trainer.contract import KernelsOutcome

from .builders import NOW, condition, finished, installation, job, pod, terminated, training
from .warm_ups import CACHE, KEY, NODES, built, decided, ended, names, ready, told, warm_up


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


def test_that_kernels_are_there_is_told_though_the_job_was_seen_first() -> None:
    waiting = told(decided(training()))
    asked = training(status=waiting)
    done = warm_up(names(asked)[0], built(), **finished("Complete"))
    ready_now = condition(told(decided(asked, done, own=job(asked))), "KernelsReady")
    assert (ready_now["status"], ready_now["reason"]) == ("True", "Compiled")


def test_what_a_claim_of_one_node_means_is_told() -> None:
    found = warm_up(names(training())[0], built(), modes=("ReadWriteOnce",), **finished("Complete"))
    verdict = ready(decided(training(), found))
    assert verdict["status"] == "True"
    assert KEY in verdict["message"]
    assert "run on one node" in verdict["message"]


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
