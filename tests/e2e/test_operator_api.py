"""What the API server itself refuses, fills in and explains."""

from __future__ import annotations

from typing import Any

import pytest

from tests.cluster.layout import REPOSITORY
from tests.e2e.trainings import Namespace, Raw, s3, training

pytestmark = pytest.mark.cluster

CLAIM = {"claimName": "captures"}


def without(name: str) -> Raw:
    manifest = training("wrong")
    del manifest["spec"][name]
    return manifest


WRONG: dict[str, tuple[Raw, str]] = {
    "no source": (without("source"), "spec.source: Required value"),
    "no output": (without("output"), "spec.output: Required value"),
    "two sources": (
        training("wrong", source={**s3("s3://captures/a"), "persistentVolumeClaim": CLAIM}),
        "give exactly one of s3 and persistentVolumeClaim",
    ),
    "an empty source": (
        training("wrong", source={}),
        "give exactly one of s3 and persistentVolumeClaim",
    ),
    "a uri that is none": (training("wrong", source=s3("http://captures/a")), "should match"),
    "a password in the endpoint": (
        training("wrong", source=s3("s3://captures/a", "http://me:secret@s3")),
        "should match",
    ),
    "a path that climbs out": (
        training("wrong", source={"persistentVolumeClaim": {**CLAIM, "path": "garden/../../etc"}}),
        "path must stay inside of the volume",
    ),
    "an absolute path": (
        training("wrong", source={"persistentVolumeClaim": {**CLAIM, "path": "/etc"}}),
        "should match",
    ),
    "checkpoints in two places": (
        training(
            "wrong",
            checkpoint={"where": {**s3("s3://scratch/a"), "persistentVolumeClaim": CLAIM}},
        ),
        "give exactly one of s3 and persistentVolumeClaim",
    ),
    "a format that is none": (
        training("wrong", output={"persistentVolumeClaim": CLAIM, "formats": ["ply", "obj"]}),
        'supported values: "ply", "compressed-ply", "spz", "splat"',
    ),
    "a format twice": (
        training("wrong", output={"persistentVolumeClaim": CLAIM, "formats": ["spz", "spz"]}),
        ".spec.output.formats: duplicate entries",
    ),
    "no iterations": (training("wrong", training={"iterations": 0}), "greater than or equal to 1"),
    "densification after the end": (
        training("wrong", training={"iterations": 10, "densifyUntilIteration": 11}),
        "densifyUntilIteration is after the last iteration",
    ),
    "densification after the end of a preset": (
        training("wrong", training={"preset": "fast", "densifyUntilIteration": 9_001}),
        "densifyUntilIteration is after the last iteration",
    ),
    "densification after the end of the default preset": (
        training("wrong", training={"densifyUntilIteration": 18_001}),
        "densifyUntilIteration is after the last iteration",
    ),
    "densification after the end of the field's own schedule": (
        training("wrong", training={"strategy": "default", "densifyUntilIteration": 30_001}),
        "densifyUntilIteration is after the last iteration",
    ),
    "mcmc without a count": (
        training("wrong", training={"strategy": "mcmc"}),
        "strategy mcmc needs maxGaussians",
    ),
    "a target without a budget": (
        training("wrong", training={"strategy": "absgrad", "targetGaussians": 5000}),
        "targetGaussians is for strategy budget",
    ),
    "a target for 3DGS's own schedule": (
        training("wrong", training={"preset": "reference", "targetGaussians": 5000}),
        "targetGaussians is for strategy budget",
    ),
    "a target above the cap": (
        training("wrong", training={"targetGaussians": 5001, "maxGaussians": 5000}),
        "targetGaussians is above maxGaussians",
    ),
    "a strategy that is none": (
        training("wrong", training={"strategy": "magic"}),
        'supported values: "default", "absgrad", "mcmc"',
    ),
    "a quality gate without held-out views": (
        training("wrong", training={"holdoutEvery": 0}, qualityGate={"minPsnr": 27}),
        "qualityGate needs held-out views",
    ),
    "an amount that is none": (
        training("wrong", resources={"gpus": 0, "memory": "lots"}),
        "should match",
    ),
    "more GPUs than one trainer takes": (training("wrong", resources={"gpus": 9}), "equal to 8"),
    "slices of GPUs for one scene": (
        training("wrong", resources={"gpus": 2, "gpuResourceName": "nvidia.com/mig-3g.40gb"}),
        "set gpus to 1 for a MIG slice or a shared GPU",
    ),
    "a secret in env": (
        training("wrong", env=[{"name": "AWS_SECRET_ACCESS_KEY", "value": "hunter2"}]),
        "a secret does not belong here",
    ),
    "a variable of the operator's own": (
        training("wrong", env=[{"name": "SPLAT_RESULT_PATH", "value": "/x"}]),
        "names that begin with SPLAT_ are the operator's own",
    ),
    "a cache where the image has the kernels": (
        training("wrong", kernelCache={"source": "Image", "claimName": "kernels"}),
        "kernels in the image need no volume",
    ),
    "an architecture that is none": (
        training("wrong", kernelCache={"claimName": "kernels", "architectures": ["sm_90"]}),
        "should match",
    ),
    "a value twice": (
        training(
            "wrong",
            env=[
                {
                    "name": "A",
                    "value": "b",
                    "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}},
                }
            ],
        ),
        "give value or valueFrom, and not both",
    ),
    "a name too long for a Job's": (training("w" * 53), "metadata.name has more than 52"),
    "a field that is not there": (training("wrong", trainig={}), "spec.trainig"),
}


@pytest.mark.parametrize("case", WRONG)
def test_the_api_server_refuses(case: str, shared_trainings: Namespace) -> None:
    manifest, words = WRONG[case]
    done = shared_trainings.try_apply(manifest)
    assert done.returncode != 0
    assert words in done.stderr


FIXED: dict[str, Any] = {
    "source": {"persistentVolumeClaim": {"claimName": "others"}},
    "output": {"persistentVolumeClaim": {"claimName": "others"}},
    "training": {"iterations": 31},
    "checkpoint": {"interval": 10},
    "qualityGate": {"minPsnr": "20"},
    "resources": {"memory": "1Gi"},
    "image": "another:1",
    "imagePullPolicy": "Always",
    "imagePullSecrets": [{"name": "a"}],
    "kernelCache": {"claimName": "kernels"},
    "env": [{"name": "A", "value": "b"}],
    "serviceAccountName": "another",
    "nodeSelector": {"a": "b"},
    "tolerations": [{"operator": "Exists"}],
    "affinity": {"nodeAffinity": {}},
    "priorityClassName": "high",
    "runtimeClassName": "nvidia",
    "podTemplateOverrides": {"metadata": {"labels": {"a": "b"}}},
    "queueName": "another",
}


def test_what_shapes_the_run_cannot_be_changed(shared_trainings: Namespace) -> None:
    shared_trainings.apply(training("fixed", suspend=True))
    for field, value in FIXED.items():
        done = shared_trainings.patch("fixed", **{field: value})
        assert done.returncode != 0, field
        assert f"{field} cannot be changed" in done.stderr, done.stderr


def test_switches_and_deadlines_can_be_changed(shared_trainings: Namespace) -> None:
    shared_trainings.apply(training("switches", suspend=True))
    done = shared_trainings.patch(
        "switches",
        suspend=True,
        maxRetries=1,
        startDeadlineSeconds=60,
        activeDeadlineSeconds=600,
        ttlSecondsAfterFinished=60,
    )
    assert done.returncode == 0, done.stderr


def test_defaults_are_filled_in_but_the_trainers_are_left_to_it(
    shared_trainings: Namespace,
) -> None:
    manifest = training("defaults", suspend=True)
    del manifest["spec"]["resources"], manifest["spec"]["training"]
    shared_trainings.apply(manifest)
    spec = shared_trainings.training("defaults")["spec"]
    assert spec["resources"] == {"gpus": 1, "gpuResourceName": "nvidia.com/gpu"}
    assert spec["maxRetries"] == 3
    assert spec["output"]["formats"] == ["ply"]
    assert "training" not in spec


@pytest.mark.parametrize("example", ["s3.yaml", "pvc.yaml"])
def test_the_examples_are_taken_as_they_are(example: str, shared_trainings: Namespace) -> None:
    manifest = REPOSITORY / "deploy" / "examples" / example
    shared_trainings.cluster.kubectl(
        *("apply", "--dry-run=server", f"--namespace={shared_trainings.name}"),
        f"--filename={manifest}",
    )


def test_every_part_of_the_spec_is_explained(shared_trainings: Namespace) -> None:
    def explained(*path: str) -> str:
        return shared_trainings.cluster.kubectl("explain", ".".join(("splattraining", *path)))

    for field in ("source", "training", "resources", "qualityGate", "suspend"):
        assert "<empty>" not in explained("spec", field)
    assert "Default: 18000 with balanced" in explained("spec", "training", "iterations")
    assert "compressed-ply" in explained("spec", "output", "formats")
