"""The environment variables of the trainer."""

from typing import Any

from splat_operator.api import SplatTrainingSpec
from splat_operator.api.storage import S3Location
from splat_operator.decide.kernels.plan import KernelPlan
from splat_operator.decide.mounts import PROGRESS_CA, PROGRESS_TOKEN, Mounts
from splat_operator.world import Installation, Training
from splat_trainer.contract import environment

TERMINATION_MESSAGE = "/dev/termination-log"

_CREDENTIALS = (
    # key of the Secret and name of the variable; whether it may be missing
    ("AWS_ACCESS_KEY_ID", False),
    ("AWS_SECRET_ACCESS_KEY", False),
    ("AWS_SESSION_TOKEN", True),
)

Variable = dict[str, Any]


def trainer_environment(
    installation: Installation,
    training: Training,
    spec: SplatTrainingSpec,
    mounted: Mounts,
    kernels: KernelPlan,
) -> list[Variable]:
    """Give the variables: the operator's first, the user's own after them."""
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
    store = spec.source.s3 or spec.output.s3
    if store:
        variables += _object_store(store)
    given = [
        variable.model_dump(mode="json", by_alias=True, exclude_none=True)
        for variable in spec.env or ()
    ]
    names = {variable["name"] for variable in given}
    return [variable for variable in variables if variable["name"] not in names] + given


def _object_store(store: S3Location) -> list[Variable]:
    variables = []
    if store.endpoint:
        variables.append(_value(environment.S3_ENDPOINT_URL, store.endpoint))
    if store.region:
        variables.append(_value("AWS_DEFAULT_REGION", store.region))
    if store.credentials_secret_ref:
        variables += [
            _from_secret(key, store.credentials_secret_ref.name, optional)
            for key, optional in _CREDENTIALS
        ]
    return variables


def _value(name: str, value: str) -> Variable:
    return {"name": name, "value": value}


def _from_secret(key: str, secret: str, optional: bool) -> Variable:
    reference: dict[str, Any] = {"name": secret, "key": key}
    if optional:
        reference["optional"] = True
    return {"name": key, "valueFrom": {"secretKeyRef": reference}}
