"""The environment variables of the trainer."""

from typing import Any

from splat_operator.api import SplatTrainingSpec
from splat_operator.api.storage import S3Location
from splat_operator.decide.kernels.plan import KernelPlan
from splat_operator.decide.literal import literal
from splat_operator.decide.mounts import PROGRESS_CA, PROGRESS_TOKEN, Mounts
from splat_operator.world import Installation, Training
from splat_trainer.contract import environment
from splat_trainer.contract.environment import Place

TERMINATION_MESSAGE = "/dev/termination-log"

_CREDENTIALS = (
    # key of the Secret and name of the variable; whether it may be missing
    (environment.S3_ACCESS_KEY_ID, False),
    (environment.S3_SECRET_ACCESS_KEY, False),
    (environment.S3_SESSION_TOKEN, True),
)

Variable = dict[str, Any]


def trainer_environment(
    installation: Installation,
    training: Training,
    spec: SplatTrainingSpec,
    mounted: Mounts,
    kernels: KernelPlan,
) -> list[Variable]:
    """Give the variables: the operator's first, the user's own after them.

    In those of the user's own `$(NAME)` stands for a variable before it, as in any container's.
    """
    variables = [
        _value(environment.RESULT_PATH, TERMINATION_MESSAGE),
        _value(environment.RUN_ID, training.uid),
    ]
    if mounted.kernels:
        variables += [
            _value(environment.KERNELS_DIR, mounted.kernels),
            _value(environment.KERNELS_ON_MISS, "fail" if kernels.on_miss == "Fail" else "compile"),
        ]
    if installation.progress_url:
        path = f"/v1/namespaces/{training.namespace}/trainings/{training.name}/progress"
        variables += [
            _value(environment.PROGRESS_URL, installation.progress_url + path),
            _value(environment.PROGRESS_TOKEN_FILE, PROGRESS_TOKEN),
            _value(environment.PROGRESS_CA_FILE, PROGRESS_CA),
        ]
    if spec.resources.gpus == 0:
        # Images made for GPUs ask for all of them; a pod that asked for none gets none.
        variables.append(_value("NVIDIA_VISIBLE_DEVICES", "void"))
    variables += _object_stores(spec)
    given = [
        variable.model_dump(mode="json", by_alias=True, exclude_none=True)
        for variable in spec.env or ()
    ]
    names = {variable["name"] for variable in given}
    return [variable for variable in variables if variable["name"] not in names] + given


def _object_stores(spec: SplatTrainingSpec) -> list[Variable]:
    """Give the variables of the stores, by their common names where there is only one.

    Where there are several, each place has variables of its own and none is common: a place
    without credentials must not be reached with another's.
    """
    kept = spec.checkpoint.where if spec.checkpoint else None
    places = {
        Place.DATA: spec.source.s3,
        Place.OUTPUT: spec.output.s3,
        Place.CHECKPOINTS: kept.s3 if kept else None,
    }
    found = {place: _object_store(store) for place, store in places.items() if store}
    stores = list(found.values())
    if all(store == stores[0] for store in stores):
        return stores[0] if stores else []
    return [
        {**variable, "name": place.variable(variable["name"])}
        for place, store in found.items()
        for variable in store
    ]


def _object_store(store: S3Location) -> list[Variable]:
    variables = []
    if store.endpoint:
        variables.append(_value(environment.S3_ENDPOINT_URL, store.endpoint))
    if store.region:
        variables.append(_value(environment.S3_REGION, store.region))
    if store.credentials_secret_ref:
        variables += [
            _from_secret(key, store.credentials_secret_ref.name, optional)
            for key, optional in _CREDENTIALS
        ]
    return variables


def _value(name: str, value: str) -> Variable:
    return {"name": name, "value": literal(value)}


def _from_secret(key: str, secret: str, optional: bool) -> Variable:
    reference: dict[str, Any] = {"name": secret, "key": key}
    if optional:
        reference["optional"] = True
    return {"name": key, "valueFrom": {"secretKeyRef": reference}}
