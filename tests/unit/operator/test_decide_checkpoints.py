"""`spec.checkpoint.where`: what the trainer is told, what is mounted, and what the status says."""

import json
from typing import Any

import pytest

from splat_operator.api import SplatTrainingSpec
from splat_operator.decide import CreateJob, decide
from splat_operator.world import Training, World

from .builders import (
    CLAIMS,
    NOW,
    RESULT,
    S3,
    installation,
    job,
    pod,
    status_of,
    terminated,
    training,
)

FAST = {"persistentVolumeClaim": {"claimName": "fast", "path": "scratch"}}
BUCKET = {"s3": {"uri": "s3://scratch/checkpoints/", "credentialsSecretRef": {"name": "scratch"}}}
OUTPUT = {"s3": {**S3, "uri": "s3://splats/garden"}}


def made(asked: Training) -> dict[str, Any]:
    (action,) = decide(World(installation(), asked), NOW).actions
    assert isinstance(action, CreateJob)
    spec: dict[str, Any] = action.manifest["spec"]["template"]["spec"]
    return spec


def container(asked: Training) -> dict[str, Any]:
    (only,) = made(asked)["containers"]
    return dict(only)


def told_place(asked: Training) -> str:
    args = container(asked)["args"]
    return str(args[args.index("--checkpoints") + 1])


def variables(asked: Training) -> dict[str, Any]:
    return {one["name"]: one for one in container(asked)["env"]}


def secret_of(variable: dict[str, Any]) -> str:
    return str(variable["valueFrom"]["secretKeyRef"]["name"])


@pytest.mark.parametrize("checkpoint", [None, {"interval": 100}])
def test_unasked_they_are_kept_beside_the_output(checkpoint: Any) -> None:
    asked = training(**({"checkpoint": checkpoint} if checkpoint else {}))
    assert "--checkpoints" not in container(asked)["args"]
    assert "/checkpoints" not in json.dumps(container(asked)["volumeMounts"])


def test_a_claim_is_mounted_to_be_written_while_the_output_is_a_bucket() -> None:
    asked = training(output=OUTPUT, checkpoint={"interval": 100, "where": FAST})
    mounted = {one["mountPath"]: one for one in container(asked)["volumeMounts"]}
    assert mounted["/checkpoints"] == {"name": "checkpoints", "mountPath": "/checkpoints"}
    volumes = {one["name"]: one for one in made(asked)["volumes"]}
    assert volumes["checkpoints"]["persistentVolumeClaim"] == {"claimName": "fast"}
    assert told_place(asked) == "/checkpoints/scratch/garden-5f1c9a2e"


@pytest.mark.parametrize("claim", ["captures", "splats"])
def test_a_claim_that_is_mounted_already_is_one_volume(claim: str) -> None:
    """Under two names in one pod the kubelet would wait for the second for ever."""
    where = {"persistentVolumeClaim": {"claimName": claim}}
    asked = training(checkpoint={"where": where})
    claims = [one for one in made(asked)["volumes"] if "persistentVolumeClaim" in one]
    assert [one["name"] for one in claims] == ["source", "output"]
    (mounted,) = [one for one in container(asked)["volumeMounts"] if "/ch" in one["mountPath"]]
    assert mounted["name"] == {"captures": "source", "splats": "output"}[claim]
    assert "readOnly" not in mounted
    assert told_place(asked) == "/checkpoints/garden-5f1c9a2e"


def test_each_training_has_a_folder_of_its_own_in_a_place_that_many_name() -> None:
    asked = training(checkpoint={"where": BUCKET})
    again = Training(asked.namespace, asked.name, "0000000b-0000", 1, asked.spec)
    assert told_place(asked) == "s3://scratch/checkpoints/garden-5f1c9a2e"
    assert told_place(again) == "s3://scratch/checkpoints/garden-0000000b"


def test_places_in_one_store_share_the_variables_that_every_client_of_s3_knows() -> None:
    where = {"s3": {**S3, "uri": "s3://scratch"}}
    asked = training(source={"s3": S3}, output=OUTPUT, checkpoint={"where": where})
    assert secret_of(variables(asked)["AWS_SECRET_ACCESS_KEY"]) == "s3-credentials"
    assert not any(name.startswith("SPLAT_CHECKPOINTS_") for name in variables(asked))


def test_places_in_several_stores_have_variables_of_their_own_and_share_none() -> None:
    mine = {"uri": "s3://mine/garden", "region": "eu-north-1"}  # by the pod's own account
    asked = training(source={"s3": S3}, output={"s3": mine}, checkpoint={"where": BUCKET})
    env = variables(asked)
    assert env["SPLAT_DATA_AWS_ENDPOINT_URL_S3"]["value"] == S3["endpoint"]
    for key in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        assert secret_of(env[f"SPLAT_DATA_{key}"]) == "s3-credentials"
        assert secret_of(env[f"SPLAT_CHECKPOINTS_{key}"]) == "scratch"
        assert env[f"SPLAT_CHECKPOINTS_{key}"]["valueFrom"]["secretKeyRef"]["key"] == key
        assert f"SPLAT_OUTPUT_{key}" not in env
    assert env["SPLAT_OUTPUT_AWS_DEFAULT_REGION"]["value"] == "eu-north-1"
    assert not any(name.startswith("AWS_") for name in env)


def test_where_and_how_far_the_newest_is_stands_in_the_status_for_somebody_outside() -> None:
    asked = training(output=OUTPUT, checkpoint={"where": FAST})
    uri = "/checkpoints/scratch/garden-5f1c9a2e/checkpoint_0000120.pt"
    document = {
        **RESULT,
        "outcome": "Interrupted",
        "exitCode": 75,
        "reason": "Interrupted",
        "checkpoint": {"iteration": 120, "uri": uri},
    }
    status = status_of(asked, job(asked), pod(**terminated(75, json.dumps(document))))
    assert status["checkpoint"] == {
        "iteration": 120,
        "uri": "pvc://fast/scratch/garden-5f1c9a2e/checkpoint_0000120.pt",
    }


def test_a_claim_or_a_secret_that_is_not_there_is_not_accepted_and_heals() -> None:
    asked = training(output=OUTPUT, checkpoint={"where": FAST})
    condition = {
        "type": "PodScheduled",
        "status": "False",
        "reason": "Unschedulable",
        "message": '0/1 nodes are available: persistentvolumeclaim "fast" not found.',
    }
    status = status_of(asked, job(asked), pod(node="", conditions=[condition]))
    accepted, *_ = status["conditions"]
    assert (accepted["type"], accepted["status"]) == ("Accepted", "False")
    assert accepted["reason"] == "ClaimNotFound"
    assert '"fast" not found' in accepted["message"]
    healed = status_of(
        training(output=OUTPUT, checkpoint={"where": FAST}, status=status), job(asked), pod()
    )
    assert healed["conditions"][0]["status"] == "True"


def test_a_place_is_one_of_two_and_known() -> None:
    places: tuple[dict[str, Any], ...] = ({**FAST, "nfs": {}}, {"persistentVolumeClaim": {}})
    for wrong in places:
        with pytest.raises(ValueError, match="checkpoint"):
            SplatTrainingSpec.model_validate({**CLAIMS, "checkpoint": {"where": wrong}})
