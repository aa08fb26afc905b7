"""Whatever order events come in, however often, and whichever are lost: the end is the same."""

from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from .builders import condition
from .simulation import KERNELS, Cluster, Operator, new_cluster

STEPS = (
    "see_training",
    "see_job",
    "see_pods",
    "reconcile",
    "crash_before_status",
    "restart",
    "job_controller",
    "pod_step",
    "evict",
    "save",
    "report",
    "suspend",
    "resume",
    "delete_job",
    "tick",
)

KERNEL_STEPS = (
    "see_warm_up",
    "warm_up_done",
    "warm_up_failed",
    "warm_up_gone",
    "damage",
)

scripts = st.lists(st.sampled_from([70, 74]), max_size=5)
ends = st.sampled_from([0, 65])


def run_step(cluster: Cluster, operator: Operator, step: str) -> None:
    if step.startswith("see_"):
        getattr(operator, step)()
    elif step == "reconcile":
        operator.reconcile()
    elif step == "crash_before_status":
        operator.reconcile(crash_after=len(operator.decision().actions))
    elif step == "restart":
        operator.see_all()
    elif step in ("suspend", "resume"):
        suspend = step == "suspend"
        if cluster.training["spec"].get("suspend", False) != suspend:
            cluster.training["spec"]["suspend"] = suspend
            cluster.training["metadata"]["generation"] += 1
    elif step == "delete_job":
        # Somebody else's kubectl; once the end is near it would lose the result with the pod.
        if cluster.job and not cluster.job["status"].get("conditions") and cluster.live_pods():
            cluster.delete_job(cluster.job["metadata"]["uid"])
    elif step == "report":
        operator.take_report()
    elif step == "tick":
        cluster.tick(3)
    else:
        getattr(cluster, step)()


def checkpoint_step(status: dict[str, Any]) -> int:
    return int(status.get("checkpoint", {"iteration": 0})["iteration"])


def run_to_the_end(cluster: Cluster, operator: Operator) -> dict[str, Any]:
    """Let everybody see and do everything until nothing changes any more."""
    run_step(cluster, operator, "resume")
    for _ in range(200):
        cluster.tick(1)
        operator.see_all()
        decision = operator.reconcile()
        cluster.job_controller()
        cluster.pod_step()
        cluster.expire_warm_up()
        cluster.warm_up_done()
        status: dict[str, Any] = cluster.training["status"]
        if status.get("phase") in ("Succeeded", "Failed") and decision.status is None:
            return status
    raise AssertionError(f"no end is reached: {cluster.training['status']}")


@settings(max_examples=150)
@given(scripts, ends, st.lists(st.sampled_from(STEPS), max_size=60), st.integers(0, 3))
def test_any_order_loss_and_repetition_of_events_ends_in_the_same_world(
    failures: list[int], end: int, steps: list[str], retries: int
) -> None:
    cluster = new_cluster([*failures, end], maxRetries=retries)
    operator = Operator(cluster)
    newest = 0
    for step in steps:
        run_step(cluster, operator, step)
        # Never two pods at once: there is one Job, and it replaces only what has ended.
        assert len(cluster.live_pods()) <= 1
        # Never an older checkpoint than was shown before, and none that nobody saved.
        before, newest = newest, checkpoint_step(cluster.training["status"])
        assert before <= newest <= cluster.saved
        assert step != "report" or not cluster.trains or newest == cluster.saved
    status = run_to_the_end(cluster, operator)
    assert newest <= checkpoint_step(status) <= cluster.saved
    # What the Job controller comes to is what the status tells.
    cluster.job_controller()
    if cluster.job is not None:
        complete = cluster.job["status"]["conditions"][0]["type"] == "Complete"
        assert (status["phase"] == "Succeeded") == complete
    succeeded = condition(status, "Succeeded")
    if status["phase"] == "Succeeded":
        assert succeeded["reason"] == "Trained"
        assert status["progress"]["percent"] == "100%"
        assert status["result"]["psnr"] == "30.00"
    else:
        assert checkpoint_step(status) == cluster.saved  # the last pod told of it
        assert succeeded["reason"] in ("InvalidCapture", "InternalError", "StorageUnavailable")
    assert cluster.jobs_made <= 1 + steps.count("delete_job")
    assert status["attempts"] >= 1


@settings(max_examples=150)
@example(0, ["reconcile", "warm_up_done", "see_warm_up", "warm_up_gone", "reconcile"])
@given(ends, st.lists(st.sampled_from(STEPS + KERNEL_STEPS), max_size=60))
def test_a_training_with_a_kernel_cache_ends_too_and_compiles_no_more_often_than_it_must(
    end: int, steps: list[str]
) -> None:
    cluster = new_cluster([end])
    operator = Operator(cluster, kernels=KERNELS)
    for step in steps:
        had_job = cluster.job is not None
        seen = operator.warm_up  # when it decides; what it does it sees anew, and more with it
        run_step(cluster, operator, step)
        assert len(cluster.live_pods()) <= 1
        if step == "reconcile" and cluster.job is not None and not had_job:
            assert _done(seen), "a Job was made before its kernels were there"
    cluster.damaged = False
    status = run_to_the_end(cluster, operator)
    assert condition(status, "KernelsReady")["reason"] == "Compiled"
    # One is made anew only after the one before went, or once for each pod that refused its work.
    assert cluster.warm_ups_made <= 1 + cluster.warm_ups_gone + cluster.in_vain


@settings(max_examples=80)
@given(st.lists(st.sampled_from(STEPS + KERNEL_STEPS), max_size=40))
def test_with_a_kernel_cache_too_a_world_that_was_seen_leaves_nothing_to_do(
    steps: list[str],
) -> None:
    cluster = new_cluster([0])
    operator = Operator(cluster, kernels=KERNELS)
    for step in steps:
        run_step(cluster, operator, step)
        for _ in range(3):
            operator.see_all()
            operator.reconcile()
        operator.see_all()
        settled = operator.decision()
        assert (settled.actions, settled.status, settled.events) == ((), None, ())


@settings(max_examples=80)
@given(scripts, ends, st.lists(st.sampled_from(STEPS), max_size=40))
def test_deciding_again_on_the_world_that_results_gives_nothing_to_do(
    failures: list[int], end: int, steps: list[str]
) -> None:
    cluster = new_cluster([*failures, end])
    operator = Operator(cluster)
    for step in steps:
        run_step(cluster, operator, step)
        operator.see_all()
        operator.reconcile()
        operator.see_all()
        # The Job that was made may be seen now, once; then all is said.
        operator.reconcile()
        operator.see_all()
        settled = operator.decision()
        assert settled.actions == ()
        assert settled.status is None
        assert settled.events == ()


def test_an_undisturbed_training_writes_its_status_four_times() -> None:
    cluster = new_cluster([0])
    operator = Operator(cluster)
    writes = 0
    for _ in range(30):
        operator.see_all()
        writes += operator.reconcile().status is not None
        cluster.job_controller()
        operator.see_all()
        writes += operator.reconcile().status is not None
        cluster.pod_step()
        cluster.tick(1)
    assert cluster.training["status"]["phase"] == "Succeeded"
    # Job made; image not there yet; training; done.
    assert writes == 4


def _done(warm_up: dict[str, Any] | None) -> bool:
    return bool(warm_up) and any(
        one["type"] == "Complete" for one in (warm_up or {})["status"].get("conditions", [])
    )
