"""The Job that compiles kernels into a cache: no GPU, and the only one that may write there."""

from datetime import datetime
from typing import Any

from splat_operator.api import SplatTrainingSpec, names
from splat_operator.decide.failure_rules import failure_rules
from splat_operator.decide.kernels.plan import KERNELS_FOLDER, KernelPlan, WarmUpPlan
from splat_operator.decide.literal import literal
from splat_operator.decide.restricted import container_security, pod_security
from splat_operator.world import TRAINER_CONTAINER, Installation, Job, Training
from splat_trainer.contract import environment

TIME_TO_LIVE = 7 * 24 * 3600
"""Seconds that a finished Job stays and is proof that the cache is full. The next training after
that has one made anew, which verifies the cache and marks its kernels as used."""

_FIRST_PAUSE, _LONGEST_PAUSE = 600, 2 * 3600
"""Seconds after which a failed Job goes and another one tries again, at least and at most."""

_RETRIES = 2
_DEADLINE = 2 * 3600
_TERMINATION_MESSAGE = "/dev/termination-log"


def pause_after(job: Job, waited_since: datetime | None) -> int:
    """Give a failed Job its pause in seconds: as long as it was waited for when it failed.

    So pauses double while compiling goes on failing, and nothing has to count the failures.
    """
    if job.finished_at is None or waited_since is None:
        return _FIRST_PAUSE
    waited = int((job.finished_at - waited_since).total_seconds())
    return min(max(waited, _FIRST_PAUSE), _LONGEST_PAUSE)


def has_its_pause(job: Job) -> bool:
    """Whether somebody has given a failed Job its pause; whoever does so first decides."""
    given = job.ttl_seconds_after_finished
    return given is not None and given <= _LONGEST_PAUSE


def warm_up_manifest(
    installation: Installation,
    training: Training,
    spec: SplatTrainingSpec,
    plan: KernelPlan,
    warm_up: WarmUpPlan,
    keys_in_use: tuple[str, ...],
) -> dict[str, Any]:
    """Give the Job. Nobody owns it: it serves all trainings of the namespace that need it."""
    labels = {
        "app.kubernetes.io/name": "splat-kernels",
        names.MANAGED_BY_LABEL: names.MANAGER,
        names.KERNELS_LABEL: warm_up.name,
    }
    settings = installation.kernel_cache
    arguments = ["kernels", "build", "--cache", plan.folder]
    arguments += ["--architectures", *warm_up.architectures]
    if settings.max_bytes is not None:
        arguments += ["--max-bytes", str(settings.max_bytes)]
        if keys_in_use:
            arguments += ["--in-use", *keys_in_use]
    container = {
        "name": TRAINER_CONTAINER,
        "image": spec.image or installation.trainer_image,
        "args": [literal(argument) for argument in arguments],
        "env": [
            {"name": environment.RESULT_PATH, "value": _TERMINATION_MESSAGE},
            # Images made for GPUs ask for all of them; compiling needs none.
            {"name": "NVIDIA_VISIBLE_DEVICES", "value": "void"},
        ],
        "terminationMessagePath": _TERMINATION_MESSAGE,
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": container_security(),
        "volumeMounts": [
            {"name": "kernels", "mountPath": KERNELS_FOLDER},
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - the pod's own volume
        ],
    }
    if settings.resources:
        container["resources"] = dict(settings.resources)
    if spec.image_pull_policy:
        container["imagePullPolicy"] = spec.image_pull_policy
    pod: dict[str, Any] = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": pod_security(),
        "containers": [container],
        "volumes": [{"name": "kernels", **plan.volume}, {"name": "tmp", "emptyDir": {}}],
    }
    if spec.image_pull_secrets:
        pod["imagePullSecrets"] = [{"name": one.name} for one in spec.image_pull_secrets]
    if warm_up.node:
        # By its name, as a DaemonSet's pods are: the label of the host's name may be another.
        by_name = {"key": "metadata.name", "operator": "In", "values": [warm_up.node]}
        terms = {"nodeSelectorTerms": [{"matchFields": [by_name]}]}
        required = "requiredDuringSchedulingIgnoredDuringExecution"
        pod["affinity"] = {"nodeAffinity": {required: terms}}
        # It is there for the node's own sake, whatever keeps others from it.
        pod["tolerations"] = [{"operator": "Exists"}]
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": warm_up.name,
            "namespace": training.namespace,
            "labels": labels,
            "annotations": {names.CACHE_ANNOTATION: plan.shown},
        },
        "spec": {
            "backoffLimit": _RETRIES,
            "activeDeadlineSeconds": _DEADLINE,
            "ttlSecondsAfterFinished": TIME_TO_LIVE,
            "podReplacementPolicy": "Failed",
            "podFailurePolicy": {"rules": failure_rules()},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }
