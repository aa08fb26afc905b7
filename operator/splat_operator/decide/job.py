"""The Job of a training."""

from splat_operator.api import SplatTrainingSpec, names
from splat_operator.decide.decision import Manifest
from splat_operator.decide.job_name import job_name
from splat_operator.decide.pod_template import pod_template
from splat_operator.world import TRAINER_CONTAINER, Installation, Training
from splat_trainer.contract import ExitCode

MANAGED_BY = {
    "app.kubernetes.io/name": "splat-trainer",
    "app.kubernetes.io/managed-by": "splat-operator",
}

HOPELESS_EXIT_CODES = sorted(
    code.value for code in ExitCode if code is not ExitCode.DONE and not code.retry_helps
)
"""The same run would end the same way: whatever is at fault lies outside of it."""


def job_manifest(
    installation: Installation, training: Training, spec: SplatTrainingSpec
) -> Manifest:
    """Give the Job that trains, controlled by its SplatTraining.

    It has no ttlSecondsAfterFinished yet: that is set once the end is in the status.
    """
    labels = {**MANAGED_BY, names.TRAINING_LABEL: training.name}
    job: Manifest = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": job_name(training),
            "namespace": training.namespace,
            "labels": labels,
            "ownerReferences": [
                {
                    "apiVersion": names.API_VERSION,
                    "kind": names.KIND,
                    "name": training.name,
                    "uid": training.uid,
                    "controller": True,
                    "blockOwnerDeletion": True,
                }
            ],
        },
        "spec": {
            "suspend": spec.suspend,
            "backoffLimit": spec.max_retries,
            # Required by podFailurePolicy, and keeps two pods from writing one output.
            "podReplacementPolicy": "Failed",
            "podFailurePolicy": {"rules": _failure_rules()},
            "template": pod_template(installation, training, spec, labels),
        },
    }
    if spec.active_deadline_seconds is not None:
        job["spec"]["activeDeadlineSeconds"] = spec.active_deadline_seconds
    return job


def _failure_rules() -> list[Manifest]:
    """Fail at once where trying again is hopeless; count no eviction, preemption or drain.

    The first rule that matches wins (KEP-3329).
    """
    return [
        {
            "action": "FailJob",
            "onExitCodes": {
                "containerName": TRAINER_CONTAINER,
                "operator": "In",
                "values": HOPELESS_EXIT_CODES,
            },
        },
        {
            "action": "Ignore",
            "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}],
        },
    ]
