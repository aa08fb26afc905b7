"""The pod's template with its overrides, checked: what is ours stays, and it stays restricted."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from splat_operator.api import names
from splat_operator.decide.overrides.pod_security import check_restricted
from splat_operator.decide.overrides.refusal import OverrideError
from splat_operator.decide.overrides.strategic_merge import merged
from splat_operator.decide.overrides.tokens import check_tokens
from splat_operator.world import TRAINER_CONTAINER

Node = Mapping[str, Any]

_METADATA = ("labels", "annotations")
_OWN_KEYS = (f"{names.GROUP}/", "app.kubernetes.io/", "batch.kubernetes.io/", "kueue.x-k8s.io/")
_JOB_KEYS = ("job-name", "controller-uid")

_FIXED_IN_POD = {
    "restartPolicy": "the Job makes a new pod for each attempt",
    "automountServiceAccountToken": "the trainer gets no token for the Kubernetes API",
    "shareProcessNamespace": "another container could read the progress token",
    "nodeName": "the scheduler places the pod: use spec.nodeSelector or spec.affinity",
    "resourceClaims": "a GPU of a claim would not be counted: use spec.resources",
    "ephemeralContainers": "a template has none",
}
_FIXED_IN_TRAINER = {
    "command": "the trainer's command is the operator's",
    "args": "the trainer's command is the operator's: use spec.training",
    "image": "use spec.image",
    "imagePullPolicy": "use spec.imagePullPolicy",
    "terminationMessagePath": "the result document comes that way",
    "terminationMessagePolicy": "the result document comes that way",
    "stdin": "nobody is there to write to it",
    "tty": "nobody is there to look at it",
    "workingDir": "the trainer's command is the operator's",
}
_OWN_VARIABLES = "SPLAT_"
_SECRETS = ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
_SCRATCH = "tmp"
"""The one volume of ours that may be another: what is downloaded may be more than a node's disk
holds."""


def overridden(
    template: Node, overrides: Node | None, api_audiences: Collection[str] = ()
) -> dict[str, Any]:
    """Give the template with the overrides merged in; raises OverrideError.

    `api_audiences` is what the API server calls itself in tokens.
    """
    if not overrides:
        return dict(template)
    try:
        _check_given(overrides)
        result = merged(template, overrides)
        _check_kept(template["spec"], result["spec"], api_audiences)
        check_restricted(
            _without(result["spec"], template["spec"]["volumes"]),
            result["metadata"].get("annotations") or {},
        )
    except (AttributeError, KeyError, TypeError, RecursionError) as error:
        # Anything can be in it, at any depth: what is no pod's template is not looked into.
        raise OverrideError(
            "", f"is no pod's template, a field has the wrong type ({error})"
        ) from None
    return result


def _without(pod: Node, own_volumes: list[Node]) -> Node:
    """Leave the operator's own volumes out: one of them may be a node's folder, as it was set."""
    given = [volume for volume in pod.get("volumes") or [] if volume not in own_volumes]
    return {**pod, "volumes": given}


def _check_given(overrides: Node) -> None:
    """Look at what is asked for, before it is merged."""
    for name in overrides:
        if name not in ("metadata", "spec"):
            raise OverrideError(name, "a pod's template has metadata and spec")
        if not isinstance(overrides[name], Mapping):
            raise OverrideError(name, "must be an object")
    for name, value in overrides.get("metadata", {}).items():
        if name not in _METADATA:
            raise OverrideError(f"metadata.{name}", "only labels and annotations can be given")
        if not isinstance(value, Mapping):
            raise OverrideError(f"metadata.{name}", "must be an object")
        for key in value:
            if str(key).startswith(_OWN_KEYS) or key in _JOB_KEYS:
                raise OverrideError(
                    f"metadata.{name}[{key}]", "is set by the operator or by Kubernetes"
                )
    for name in overrides.get("spec", {}):
        if name in _FIXED_IN_POD:
            raise OverrideError(f"spec.{name}", _FIXED_IN_POD[name])


def _check_kept(before: Node, after: Node, api_audiences: Collection[str]) -> None:
    """Look at what is ours in the merged pod: it must be as it was."""
    own_volumes = {volume["name"]: volume for volume in before["volumes"]}
    for volume in after.get("volumes") or []:
        own = own_volumes.pop(volume["name"], None)
        if own is None:
            _check_new_volume(volume, before["volumes"], api_audiences)
        elif own != volume:
            if volume["name"] != _SCRATCH:
                raise OverrideError(
                    f"spec.volumes[{volume['name']}]", "this volume is the operator's"
                )
            _check_new_volume(volume, before["volumes"], api_audiences)
    if own_volumes:
        raise OverrideError("spec.volumes", "the operator's own volumes must stay")
    trainers = 0
    for kind in ("containers", "initContainers"):
        for container in after.get(kind) or []:
            where = f"spec.{kind}[{container['name']}]"
            if container["name"] == TRAINER_CONTAINER and kind == "containers":
                trainers += 1
                _check_trainer(before["containers"][0], container, where)
            else:
                _check_neighbour(container, before["volumes"], where)
    if trainers != 1:
        raise OverrideError("spec.containers", "the trainer's container must stay")


def _check_new_volume(volume: Node, own: Iterable[Node], api_audiences: Collection[str]) -> None:
    where = f"spec.volumes[{volume['name']}]"
    kernels = next((one for one in own if one["name"] == "kernels"), {})
    claim = volume.get("persistentVolumeClaim") or {}
    if claim and claim.get("claimName") == (kernels.get("persistentVolumeClaim") or {}).get(
        "claimName"
    ):
        raise OverrideError(where, "the kernel cache is mounted already, read-only")
    check_tokens(volume, api_audiences, where)


def _check_trainer(before: Node, after: Node, where: str) -> None:
    for name, words in _FIXED_IN_TRAINER.items():
        if before.get(name) != after.get(name):
            raise OverrideError(f"{where}.{name}", words)
    if (after.get("securityContext") or {}).get("readOnlyRootFilesystem") is not True:
        raise OverrideError(
            f"{where}.securityContext.readOnlyRootFilesystem", "must be true; /tmp can be written"
        )
    own = {one["name"]: one for one in before["env"]}
    for variable in after.get("env") or []:
        name = variable["name"]
        here = f"{where}.env[{name}]"
        if own.pop(name, variable) != variable or (
            name.startswith(_OWN_VARIABLES) and variable not in before["env"]
        ):
            raise OverrideError(
                here, "is set by the operator: use spec.env for what can be changed"
            )
        if name in _SECRETS and "value" in variable:
            raise OverrideError(here, "a secret does not belong here: use valueFrom.secretKeyRef")
    if own:
        raise OverrideError(f"{where}.env[{next(iter(own))}]", "is set by the operator")
    for number, source in enumerate(after.get("envFrom") or []):
        _check_env_from(source, f"{where}.envFrom[{number}]")
    _check_mounts(before, after, where)
    _check_gpus(before, after, where)


def _check_env_from(source: Node, where: str) -> None:
    """Names of variables that come so are not known here: with such a prefix none is ours."""
    prefix = source.get("prefix") or ""
    if prefix.startswith(_OWN_VARIABLES) or _OWN_VARIABLES.startswith(prefix):
        raise OverrideError(
            where,
            f"could set a variable of the operator's ({_OWN_VARIABLES}...): name each variable in "
            "spec.env with valueFrom, or give a prefix that these do not begin with",
        )


def _check_mounts(before: Node, after: Node, where: str) -> None:
    own = {mount["mountPath"]: mount for mount in before["volumeMounts"]}
    kept = {mount["mountPath"] for mount in after.get("volumeMounts") or []}
    names_of_ours = {mount["name"] for mount in own.values()}
    for path in own:
        if path not in kept:
            raise OverrideError(f"{where}.volumeMounts[{path}]", "is the operator's and must stay")
    for mount in after["volumeMounts"]:
        path = str(mount["mountPath"])
        here = f"{where}.volumeMounts[{path}]"
        if path in own:
            if mount != own[path]:
                raise OverrideError(here, "is the operator's")
        elif mount["name"] in names_of_ours - {_SCRATCH}:
            raise OverrideError(here, f"the volume {mount['name']} is mounted already")
        elif any(_covers(path, other) for other in own):
            raise OverrideError(here, "would hide what the operator mounts: take another path")


def _covers(one: str, other: str) -> bool:
    """Whether one of two absolute paths lies in the other."""
    first, second = ("/" + "/".join(filter(None, path.split("/"))) for path in (one, other))
    return f"{second}/".startswith(f"{first}/".replace("//", "/")) or f"{first}/".startswith(
        f"{second}/"
    )


def _check_gpus(before: Node, after: Node, where: str) -> None:
    """The count of GPUs is what gpuSeconds is reckoned with."""
    if (after.get("resources") or {}).get("claims"):
        raise OverrideError(
            f"{where}.resources.claims", "a GPU of a claim would not be counted: use spec.resources"
        )
    for kind in ("limits", "requests"):
        own = {
            name: amount
            for name, amount in ((before.get("resources") or {}).get(kind) or {}).items()
            if "/" in name
        }
        given = (after.get("resources") or {}).get(kind) or {}
        for name in {*own, *(name for name in given if "/" in str(name))}:
            if own.get(name) != given.get(name):
                raise OverrideError(f"{where}.resources.{kind}[{name}]", "use spec.resources")


def _check_neighbour(container: Node, own_volumes: Iterable[Node], where: str) -> None:
    """Another container sees neither the progress token nor the cache writable, and has no GPU."""
    if container["name"] == TRAINER_CONTAINER:
        raise OverrideError(where, "the name is taken by the trainer's container")
    _check_gpus({}, container, where)
    ours = {volume["name"] for volume in own_volumes}
    for mount in container.get("volumeMounts") or []:
        here = f"{where}.volumeMounts[{mount['mountPath']}]"
        if mount.get("name") == "progress":
            raise OverrideError(here, "the progress token is the trainer's alone")
        if mount.get("name") in ours & {"kernels", "source"} and mount.get("readOnly") is not True:
            raise OverrideError(here, "must be readOnly")
