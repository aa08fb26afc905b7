"""`spec.queueName`: when a Job in a queue starts, and where, is Kueue's."""

from splat_operator.decide import CreateJob, DeleteJob, UpdateJob, decide
from splat_operator.world import Job, World

from .builders import NOW, condition, installation, job, pod, running, training, world


def in_queue(**status: object) -> Job:
    return job(training(queueName="maps"), spec={"suspend": True}, **status)


def test_the_job_is_made_suspended_with_the_queues_label_on_it_and_not_on_its_pods() -> None:
    (action,) = decide(world(training(queueName="maps")), NOW).actions
    assert isinstance(action, CreateJob)
    assert action.manifest["spec"]["suspend"] is True
    assert action.manifest["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "maps"
    labels = action.manifest["spec"]["template"]["metadata"]["labels"]
    assert "kueue.x-k8s.io/queue-name" not in labels


def test_until_kueue_admits_it_the_training_is_queued() -> None:
    decision = decide(world(training(queueName="maps"), in_queue()), NOW)
    assert decision.actions == ()
    assert decision.status is not None
    assert decision.status["phase"] == "Queued"
    told = condition(dict(decision.status), "Scheduled")
    assert (told["status"], told["reason"]) == ("False", "Queued")
    assert "queue maps" in told["message"]


def test_what_kueue_admits_is_not_suspended_again() -> None:
    asked = training(queueName="maps")
    decision = decide(world(asked, job(asked), pod(**running())), NOW)
    assert decision.actions == ()
    assert decision.status is not None
    assert decision.status["phase"] == "Running"


def test_a_preempted_training_is_queued_again_and_not_touched() -> None:
    asked = training(queueName="maps")
    decision = decide(world(asked, in_queue(), pod(**running())), NOW)
    assert decision.actions == ()
    assert decision.status is not None
    assert decision.status["phase"] == "Queued"
    assert "preempted" in condition(dict(decision.status), "Scheduled")["message"]


def test_what_ran_before_says_that_it_waits_again_and_where_it_goes_on() -> None:
    ran = {"podName": "garden-1"}
    kept = {"iteration": 4000, "uri": "pvc://splats/checkpoints/checkpoint_0004000.pt"}
    for status, told in (
        ({}, "waits in queue maps"),
        (ran, "waits in queue maps again"),
        ({**ran, "checkpoint": kept}, "waits in queue maps again, to go on from iteration 4000"),
    ):
        asked = training(queueName="maps", status=status)
        decision = decide(world(asked, in_queue()), NOW)
        assert decision.status is not None
        assert condition(dict(decision.status), "Scheduled")["message"].endswith(told)


def test_the_users_own_suspend_takes_the_job_out_of_the_queue_after_its_checkpoint() -> None:
    asked = training(queueName="maps", suspend=True)
    (action,) = decide(world(asked, job(asked), pod(**running())), NOW).actions
    assert isinstance(action, DeleteJob)
    assert action.pods_first
    decision = decide(world(asked), NOW)
    assert decision.actions == ()
    assert decision.status is not None
    assert decision.status["phase"] == "Suspended"


def test_no_second_pod_is_started_beside_one_that_still_saves_its_checkpoint() -> None:
    asked = training(queueName="maps")
    last = pod(**running())
    waiting = decide(World(installation(), asked, stopping=(last,)), NOW)
    assert waiting.actions == ()
    assert waiting.status is not None
    assert condition(dict(waiting.status), "Scheduled")["reason"] == "Stopping"


def test_other_fields_that_follow_the_spec_still_do() -> None:
    asked = training(queueName="maps", maxRetries=7)
    (action,) = decide(world(asked, in_queue()), NOW).actions
    assert isinstance(action, UpdateJob)
    assert action.spec == {"backoffLimit": 7}
