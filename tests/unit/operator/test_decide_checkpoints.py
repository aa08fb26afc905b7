"""`spec.checkpoint.where`: what the trainer is told, what is mounted, and what the status says."""

import json
from typing import Any

import pytest

from splat_operator.api import SplatTrainingSpec
from splat_operator.decide import CreateJob, decide
from splat_operator.decide.checkpoint import checkpoint_reported
from splat_operator.world import Training, World, parse_progress

from .builders import (
    CLAIMS,
    NOW,
    RESULT,
    S3,
    installation,
    job,
    pod,
    running,
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


def written(iteration: int) -> dict[str, Any]:
    return {"iteration": iteration, "uri": f"pvc://splats/checkpoint_{iteration}"}


def reported(asked: Training, iteration: int, uri: str = "/output/x") -> dict[str, Any]:
    told = {"iteration": iteration, "uri": uri}
    document = parse_progress(json.dumps({"stage": "Training", "checkpoint": told}))
    return dict(checkpoint_reported(asked, document))


def interrupted(iteration: int) -> dict[str, Any]:
    told = {"iteration": iteration, "uri": f"/output/checkpoint_{iteration}"}
    ended = {"outcome": "Interrupted", "exitCode": 75, "reason": "Interrupted"}
    return terminated(75, json.dumps({**RESULT, **ended, "checkpoint": told}))


def test_a_running_trainer_tells_of_its_checkpoint_as_a_stopped_one_does() -> None:
    asked = training(output=OUTPUT, checkpoint={"interval": 10, "where": FAST})
    uri = "/checkpoints/scratch/garden-5f1c9a2e/checkpoint_0000120.pt"
    assert reported(asked, 120, uri) == {
        "iteration": 120,
        "uri": "pvc://fast/scratch/garden-5f1c9a2e/checkpoint_0000120.pt",
    }
    assert reported(asked, 120, "s3://splats/garden/a.pt")["uri"] == "s3://splats/garden/a.pt"


def test_what_a_running_trainer_told_stays_in_the_status_when_the_operator_writes_it() -> None:
    asked = training(status={"checkpoint": written(40)})
    assert status_of(asked, job(asked), pod(**running()))["checkpoint"] == written(40)


def test_a_pod_that_stops_tells_of_a_newer_one_than_it_told_while_it_ran() -> None:
    asked = training(status={"checkpoint": written(40)})
    assert status_of(asked, job(asked), pod(**interrupted(47)))["checkpoint"] == written(47)


def test_the_checkpoint_of_a_pod_that_follows_is_not_set_back_to_that_of_the_one_before() -> None:
    asked = training(status={"checkpoint": written(90)})
    pods = (pod("first", 2, **interrupted(47)), pod("second", 9, **running()))
    assert status_of(asked, job(asked), *pods)["checkpoint"] == written(90)


def test_a_report_without_a_newer_checkpoint_carries_the_one_that_is_written() -> None:
    """The next pod says nothing of one while it loads; left out, the field would be removed."""
    asked = training(status={"checkpoint": written(40)})
    loading = parse_progress('{"stage": "Loading"}')
    assert checkpoint_reported(asked, loading) == written(40)
    assert reported(asked, 30) == written(40)
    assert reported(asked, 50) == {"iteration": 50, "uri": "pvc://splats/x"}


def test_where_nobody_told_of_one_there_is_none() -> None:
    asked = training()
    assert checkpoint_reported(asked, parse_progress('{"stage": "Training"}')) == {}
    assert "checkpoint" not in status_of(asked, job(asked), pod(**running()))


@pytest.mark.parametrize("uri", ["", " \n\t", "\x1b[2Jevil\n", "s3://x/" + "y" * 3000, "\udc80"])
def test_an_address_from_a_hostile_pod_is_one_short_printable_line_or_none(uri: str) -> None:
    told = reported(training(), 10**400, uri)
    assert told == {} or told["iteration"] == 2**63 - 1
    assert told == {} or (told["uri"].isprintable() and 0 < len(told["uri"]) <= 2048)
    assert bool(told) == bool(uri.strip()) or uri == "\udc80"


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
