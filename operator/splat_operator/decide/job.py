"""The Job of a training."""

from splat_operator.api import SplatTrainingSpec, names
from splat_operator.decide.decision import Manifest
from splat_operator.decide.failure_rules import failure_rules
from splat_operator.decide.job_name import job_name
from splat_operator.decide.pod_template import pod_template
from splat_operator.world import Installation, Training

MANAGED_BY = {
    "app.kubernetes.io/name": "splat-trainer",
    names.MANAGED_BY_LABEL: names.MANAGER,
}


def suspended_by_us(suspended: bool) -> dict[str, str]:
    """Give the annotation that tells our own suspension of a Job from that of others."""
    return {names.SUSPENDED_ANNOTATION: "true" if suspended else "false"}


def job_manifest(
    installation: Installation, training: Training, spec: SplatTrainingSpec
) -> Manifest:
    """Give the Job that trains, controlled by its SplatTraining.

    It has no ttlSecondsAfterFinished yet: that is set once the end is in the status. One in a
    queue is made suspended, and whose queue it is lets it start. Raises OverrideError where
    `podTemplateOverrides` asks for what cannot be had.
    """
    labels = {**MANAGED_BY, names.TRAINING_LABEL: training.name}
    queue = {names.QUEUE_LABEL: spec.queue_name} if spec.queue_name else {}
    job: Manifest = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": job_name(training),
            "namespace": training.namespace,
            "labels": {**labels, **queue},
            "annotations": suspended_by_us(spec.suspend),
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
            "suspend": spec.suspend or bool(spec.queue_name),
            "backoffLimit": spec.max_retries,
            # Required by podFailurePolicy, and keeps two pods from writing one output.
            "podReplacementPolicy": "Failed",
            "podFailurePolicy": {"rules": failure_rules()},
            "template": pod_template(installation, training, spec, labels),
        },
    }
    if spec.active_deadline_seconds is not None:
        job["spec"]["activeDeadlineSeconds"] = spec.active_deadline_seconds
    return job
