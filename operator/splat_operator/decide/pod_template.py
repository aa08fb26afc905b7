"""The trainer's pod: restricted (Pod Security Standards), with no access to the API."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from splat_operator.api import SplatTrainingSpec, names
from splat_operator.decide.decision import Manifest
from splat_operator.decide.kernels.plan import KernelPlan, kernel_plan
from splat_operator.decide.literal import literal
from splat_operator.decide.mounts import Mounts, mounts
from splat_operator.decide.overrides import OverrideError, overridden
from splat_operator.decide.restricted import container_security, pod_security
from splat_operator.decide.trainer_environment import TERMINATION_MESSAGE, trainer_environment
from splat_operator.world import TRAINER_CONTAINER, Installation, Training, World
from splat_trainer.contract import SplatFormat

GRACE_SECONDS = 120
"""From SIGTERM to SIGKILL: long enough to save a checkpoint and send it to an object store."""


def pod_template(
    installation: Installation,
    training: Training,
    spec: SplatTrainingSpec,
    labels: Mapping[str, str],
) -> Manifest:
    """Give the template of the Job's pods; raises OverrideError."""
    kernels = kernel_plan(installation, training)
    mounted = mounts(installation, training, spec, kernels)
    metadata: Manifest = {"labels": dict(labels)}
    if installation.progress_url:
        metadata["annotations"] = {names.PROGRESS_CA_ANNOTATION: installation.progress_ca}
    template = {
        "metadata": metadata,
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "terminationGracePeriodSeconds": GRACE_SECONDS,
            "securityContext": pod_security(),
            "containers": [_container(installation, training, spec, mounted, kernels)],
            "volumes": mounted.volumes,
            **_placement(spec),
        },
    }
    return overridden(template, spec.pod_template_overrides, installation.api_audiences)


def override_fault(world: World) -> str:
    """Say what of `podTemplateOverrides` is refused; empty where nothing is."""
    training, spec = world.training, world.training.spec
    if spec is None or not spec.pod_template_overrides:
        return ""
    try:
        pod_template(world.installation, training, spec, {})
    except OverrideError as refused:
        return str(refused)
    return ""


def _container(
    installation: Installation,
    training: Training,
    spec: SplatTrainingSpec,
    mounted: Mounts,
    kernels: KernelPlan,
) -> Manifest:
    container: Manifest = {
        "name": TRAINER_CONTAINER,
        "image": spec.image or installation.trainer_image,
        "args": [literal(argument) for argument in trainer_arguments(spec, mounted)],
        "env": trainer_environment(installation, training, spec, mounted, kernels),
        "resources": _resources(spec),
        "terminationMessagePath": TERMINATION_MESSAGE,
        # A trainer that died before it could say why: the end of its log says it.
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": container_security(),
        "volumeMounts": mounted.mounts,
    }
    if spec.image_pull_policy:
        container["imagePullPolicy"] = spec.image_pull_policy
    return container


def trainer_arguments(spec: SplatTrainingSpec, mounted: Mounts) -> list[str]:
    """Give the trainer's command line: only what the user set, and the device.

    A pod that got a GPU must not fall back to its CPU in silence: auto becomes what
    `resources.gpus` says.
    """
    config = spec.training
    changes: dict[str, Any] = {}
    if config.device == "auto":
        changes["device"] = "cuda" if spec.resources.gpus else "cpu"
    if spec.checkpoint:
        changes["checkpoint_interval"] = spec.checkpoint.interval
    flags = config.model_copy(update=changes).to_args()
    places = ["--data", mounted.source, "--output", mounted.output]
    if mounted.checkpoints:
        places += ["--checkpoints", mounted.checkpoints]
    return ["train", *places, *_formats(spec), "--resume", *_gpus(spec), *flags]


def _gpus(spec: SplatTrainingSpec) -> list[str]:
    """Give the flag that asks for more than one; a trainer of before it had none."""
    several = spec.resources.gpus > 1 and spec.training.device != "cpu"
    return ["--gpus", str(spec.resources.gpus)] if several else []


def _formats(spec: SplatTrainingSpec) -> list[str]:
    """Give the flag that asks for more than the PLY; a trainer of before it had none."""
    asked = ",".join(dict.fromkeys((SplatFormat.PLY, *spec.output.formats)))
    return [] if asked == SplatFormat.PLY else ["--formats", asked]


def _resources(spec: SplatTrainingSpec) -> Manifest:
    asked = spec.resources
    requests: Manifest = {}
    limits: Manifest = {}
    if asked.cpu:
        requests["cpu"] = asked.cpu
    if asked.memory:
        requests["memory"] = limits["memory"] = asked.memory
    if asked.gpus:
        # An extended resource's request is its limit.
        limits[asked.gpu_resource_name] = asked.gpus
    return {
        name: amounts for name, amounts in (("requests", requests), ("limits", limits)) if amounts
    }


def _placement(spec: SplatTrainingSpec) -> Manifest:
    tolerations = _plain(spec.tolerations or ())
    if spec.resources.gpus:
        taint = {
            "key": spec.resources.gpu_resource_name,
            "operator": "Exists",
            "effect": "NoSchedule",
        }
        tolerations = [*tolerations, taint]
    placement = {
        "serviceAccountName": spec.service_account_name,
        "imagePullSecrets": _plain(spec.image_pull_secrets or ()),
        "nodeSelector": spec.node_selector,
        "tolerations": tolerations,
        "affinity": spec.affinity,
        "priorityClassName": spec.priority_class_name,
        "runtimeClassName": spec.runtime_class_name,
    }
    return {name: value for name, value in placement.items() if value}


def _plain(models: Sequence[BaseModel]) -> list[Any]:
    return [model.model_dump(mode="json", by_alias=True, exclude_none=True) for model in models]
